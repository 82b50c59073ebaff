#if canImport(SwiftUI)
    import CoreGraphics
    import Foundation
    import Observation
    import Talking
    import Viseme
    import VisemeCoreML
    #if os(macOS)
        import VisemeFFmpeg
        import VisemeONNX
    #endif

    /// What the view shows and does.
    @MainActor @Observable
    final class TalkingModel {
        private(set) var picture: CGImage?
        private(set) var isSpeaking = false
        private(set) var isListening = false
        private(set) var problem: String?

        private var talker: Talker?
        private let player = Player()
        private let microphone = Microphone()
        private var hearing: Task<Void, Never>?

        /// Loads the avatar of the app's bundle and shows it until the view goes away.
        func run() async {
            do {
                guard let pack = Bundle.main.url(forResource: "avatar", withExtension: "avatar") else {
                    problem =
                        "The app has no avatar: add a folder avatar.avatar to its resources. README.md says which."
                    return
                }
                #if os(macOS)
                    let talker = try await Talker(pack: pack, backend: ONNXBackend(), media: FFmpeg())
                #else
                    let talker = try await Talker(pack: pack, backend: CoreMLBackend(), media: AppleMedia())
                #endif
                self.talker = talker
                try player.start()
                for try await moment in talker.moments {
                    if let image = moment.picture { picture = try image.cgImage() }
                    isSpeaking = moment.isSpeaking
                    player.play(moment.sound)
                }
            } catch is CancellationError {
            } catch {
                problem = "\(error)"
            }
            player.stop()
            await talker?.end()
        }

        func speak(_ chosen: Result<URL, any Error>) async {
            do {
                let file = try chosen.get()
                // A file from outside the sandbox.
                let isOutside = file.startAccessingSecurityScopedResource()
                defer { if isOutside { file.stopAccessingSecurityScopedResource() } }
                try await talker?.speak(file)
                problem = nil
            } catch {
                problem = "\(error)"
            }
        }

        func toggleMicrophone() async {
            if isListening { return await stop() }
            do {
                let samples = try await microphone.start()
                isListening = true
                hearing = Task { [weak self] in
                    for await chunk in samples {
                        do { try await self?.talker?.hear(chunk) } catch { self?.problem = "\(error)" }
                    }
                }
            } catch {
                problem = "\(error)"
            }
        }

        func stop() async {
            microphone.stop()
            hearing?.cancel()
            isListening = false
            await talker?.stop()
        }
    }

    extension Viseme.Image {
        /// The picture for the screen; ours are B G R, without padding.
        func cgImage() throws -> CGImage {
            var pixels = [UInt8](repeating: 255, count: width * height * 4)
            for i in 0..<width * height {
                pixels[4 * i] = bytes[3 * i]
                pixels[4 * i + 1] = bytes[3 * i + 1]
                pixels[4 * i + 2] = bytes[3 * i + 2]
            }
            let order = CGBitmapInfo.byteOrder32Little.rawValue | CGImageAlphaInfo.noneSkipFirst.rawValue
            guard let provider = CGDataProvider(data: Data(pixels) as CFData),
                let image = CGImage(
                    width: width, height: height, bitsPerComponent: 8, bitsPerPixel: 32, bytesPerRow: 4 * width,
                    space: CGColorSpace(name: CGColorSpace.itur_709) ?? CGColorSpaceCreateDeviceRGB(),
                    bitmapInfo: CGBitmapInfo(rawValue: order), provider: provider, decode: nil, shouldInterpolate: true,
                    intent: .defaultIntent)
            else { throw VisemeError(.internal, "The system makes no image of \(width)×\(height) pixels") }
            return image
        }
    }
#endif
