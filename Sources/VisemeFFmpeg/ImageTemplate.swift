import CFFmpeg
import Foundation
import Viseme

/// Template frames that are numbered images in a folder.
struct ImageTemplate: TemplateReader {
    /// The number of images.
    let frameCount: Int
    /// The width of every image in pixels.
    let width: Int
    /// The height of every image in pixels.
    let height: Int
    private let decoder: ImageDecoder

    /// Decodes the first image to learn the size of all.
    static func open(_ sequence: ImageSequence, memory: Int) async throws -> ImageTemplate {
        let decoder = ImageDecoder(sequence)
        let first = try await decoder.start(memory: memory)
        return ImageTemplate(
            frameCount: sequence.files.count, width: first.width, height: first.height, decoder: decoder)
    }

    /// Frame `index` in 0..<frameCount.
    func frame(at index: Int) async throws -> any Picture {
        precondition(index >= 0 && index < frameCount, "a template frame is in 0..<frameCount")
        return try await decoder.frame(at: index)
    }
}

/// Decodes and caches images.
actor ImageDecoder {
    private let executor = BlockingExecutor("images")
    private let sequence: ImageSequence
    private var cache = FrameCache(memory: 0, frameBytes: 1)
    private var pixels: PixelReader?

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(_ sequence: ImageSequence) { self.sequence = sequence }

    func start(memory: Int) throws -> (width: Int, height: Int) {
        let picture = try decode(sequence.files[0])
        cache = FrameCache(memory: memory, frameBytes: picture.byteCount)
        return (picture.width, picture.height)
    }

    func frame(at index: Int) throws -> any Picture {
        try Task.checkCancellation()
        if let picture = cache.request(index) { return picture }
        let picture = try decode(sequence.files[index])
        cache.insert(picture, at: index)
        return picture
    }

    private func decode(_ url: URL) throws -> any Picture {
        let demuxer = try Demuxer(url, as: "Template image")
        let label = "Template image '\(url.path)'"
        guard let number = demuxer.select(AVMEDIA_TYPE_VIDEO), let stream = demuxer.stream(number) else {
            throw VisemeError(.badData, "\(label) has no picture; found: \(demuxer.describeStreams())")
        }
        let decoder = try Decoder(stream, label: label, isStrict: true)
        let packet = try Packet()
        let frame = try AVFrameBox()
        while true {
            let status = demuxer.read(into: packet)
            if status < 0 {
                decoder.sendEnd()
            } else if packet.pointer.pointee.stream_index != Int32(number) || !decoder.send(packet) {
                continue
            }
            switch try decoder.receive(into: frame) {
            case .frame:
                guard viseme_frame_is_damaged(frame.pointer) == 0 else {
                    throw VisemeError(.badData, "\(label) is damaged")
                }
                let raw = frame.pointer.pointee
                if pixels == nil { pixels = PixelReader(width: Int(raw.width), height: Int(raw.height)) }
                guard let picture = try pixels?.picture(of: frame, label: label) else { continue }
                return picture
            case .needsPacket: continue
            case .ended, .damaged: throw VisemeError(.badData, "\(label) cannot be decoded")
            }
        }
    }
}
