#if canImport(AVFoundation)
    import AVFoundation
    import Foundation
    import Viseme

    /// Reads speech and templates with AVFoundation, where libav* is not at hand. It writes no files.
    struct AppleMedia: MediaBackend {
        func speech(at url: URL) async throws -> any SpeechReader { try await AppleSpeech(url) }

        func template(at url: URL, memory: Int) async throws -> any TemplateReader { try await AppleTemplate(url) }

        func writer(_ request: VideoRequest) async throws -> any VideoWriter {
            throw VisemeError(.unavailable, "This app writes no videos", hint: "Use VisemeFFmpeg, or AVAssetWriter.")
        }
    }

    /// The sound of a file as mono samples at 16 kHz.
    actor AppleSpeech: SpeechReader {
        private let reader: AVAssetReader
        private let output: AVAssetReaderTrackOutput

        init(_ url: URL) async throws {
            let asset = AVURLAsset(url: url)
            guard let track = try await asset.loadTracks(withMediaType: .audio).first else {
                throw VisemeError(
                    .badData, "'\(url.lastPathComponent)' has no sound", hint: "Choose a file with speech.")
            }
            reader = try AVAssetReader(asset: asset)
            output = AVAssetReaderTrackOutput(
                track: track,
                outputSettings: [
                    AVFormatIDKey: kAudioFormatLinearPCM, AVSampleRateKey: 16_000, AVNumberOfChannelsKey: 1,
                    AVLinearPCMBitDepthKey: 32, AVLinearPCMIsFloatKey: true, AVLinearPCMIsBigEndianKey: false,
                    AVLinearPCMIsNonInterleaved: false,
                ])
            reader.add(output)
            guard reader.startReading() else { throw Self.failure(url, reader) }
        }

        var warnings: [String] { [] }

        func read() throws -> [Float]? {
            guard let sample = output.copyNextSampleBuffer(), let block = sample.dataBuffer else {
                if let error = reader.error { throw VisemeError(.badData, "The sound cannot be read", cause: error) }
                return nil
            }
            return try block.dataBytes().withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
        }

        private static func failure(_ url: URL, _ reader: AVAssetReader) -> VisemeError {
            VisemeError(.badData, "'\(url.lastPathComponent)' cannot be read", cause: reader.error)
        }
    }

    /// The frames of a template by number.
    struct AppleTemplate: TemplateReader {
        let frameCount: Int
        let width: Int
        let height: Int
        /// Safe from any thread.
        private nonisolated(unsafe) let generator: AVAssetImageGenerator
        private let rate: Int32

        init(_ url: URL) async throws {
            let asset = AVURLAsset(url: url)
            guard let track = try await asset.loadTracks(withMediaType: .video).first else {
                throw VisemeError(.badData, "'\(url.lastPathComponent)' has no picture")
            }
            let (size, length, rate) = try await track.load(.naturalSize, .timeRange, .nominalFrameRate)
            self.rate = Int32(rate.rounded())
            width = Int(size.width)
            height = Int(size.height)
            frameCount = Int((length.duration.seconds * Double(rate)).rounded())
            generator = AVAssetImageGenerator(asset: asset)
            // The frame that was asked for, not one nearby.
            generator.requestedTimeToleranceBefore = .zero
            generator.requestedTimeToleranceAfter = .zero
        }

        func frame(at index: Int) async throws -> any Picture {
            // The middle of the frame, so that rounding does not find its neighbour.
            let time = CMTime(value: CMTimeValue(2 * index + 1), timescale: 2 * rate)
            let (image, _) = try await generator.image(at: time)
            var pixels = [UInt8](repeating: 0, count: width * height * 4)
            let order = CGBitmapInfo.byteOrder32Little.rawValue | CGImageAlphaInfo.noneSkipFirst.rawValue
            let isDrawn = pixels.withUnsafeMutableBytes { buffer in
                guard
                    let context = CGContext(
                        data: buffer.baseAddress, width: width, height: height, bitsPerComponent: 8,
                        bytesPerRow: 4 * width,
                        space: CGColorSpace(name: CGColorSpace.itur_709) ?? CGColorSpaceCreateDeviceRGB(),
                        bitmapInfo: order)
                else { return false }
                context.draw(image, in: CGRect(x: 0, y: 0, width: width, height: height))
                return true
            }
            guard isDrawn else {
                throw VisemeError(.internal, "The system draws no picture of \(width)×\(height) pixels")
            }
            var result = Image(width: width, height: height)
            for i in 0..<width * height {
                for channel in 0..<3 { result.bytes[3 * i + channel] = pixels[4 * i + channel] }
            }
            return result
        }
    }
#endif
