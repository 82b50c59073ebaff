import Foundation
import Testing
import Viseme
import VisemeTestSupport

@testable import VisemeFFmpeg

@Suite("Clips of a person", .enabled(if: Tool.ffmpeg != nil, "the program ffmpeg makes their test files"))
struct ClipTests {
    let scratch: Scratch
    let backend = FFmpeg()

    init() throws { scratch = try Scratch() }

    private func read(_ url: URL, size: PixelSize? = nil) async throws -> [Image] {
        let reader = try await backend.clip(at: url, size: size)
        var images: [Image] = []
        while let frame = try await reader.next() {
            #expect(frame.number == images.count)
            images.append(frame.image)
        }
        return images
    }

    /// Two seconds whose picture n has the luma 20 + 4n, at a rate.
    private func ramp(_ rate: String, _ name: String, _ options: [String] = []) throws -> URL {
        let url = scratch.file(name)
        _ = try Tool.run(
            Tool.ffmpeg,
            [
                "-v", "error", "-f", "lavfi", "-i",
                "color=black:s=64x48:r=\(rate):d=2,geq=lum='20+4*mod(N,50)':cb=128:cr=128",
                "-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p",
            ] + options + [url.path])
        return url
    }

    @Test(
        "whatever the rate, frame k is the picture nearest to k / 25 seconds",
        arguments: [("25", 25.0), ("10", 10), ("50", 50), ("30000/1001", 30_000.0 / 1001)])
    func rates(_ text: String, _ rate: Double) async throws {
        let images = try await read(try ramp(text, "clip.mp4"))
        #expect(abs(images.count - 50) <= 1)
        for (k, image) in images.enumerated() {
            let exact = Double(k) / 25 * rate
            let luma = (Double(image.bytes[0]) / 255 * 219 + 16 - 20) / 4
            // Halves may go either way.
            let near = [(exact - 1e-3).rounded(), (exact + 1e-3).rounded()].map { min($0, (2 * rate).rounded() - 1) }
            #expect(
                near.contains { abs(luma - $0.truncatingRemainder(dividingBy: 50)) < 0.3 },
                "frame \(k): \(luma), \(near)")
        }
    }

    @Test("pictures are upright, as a player shows them")
    func rotation() async throws {
        let plain = try ramp("25", "plain.mp4", ["-vf", "drawbox=x=0:y=0:w=16:h=16:color=white:t=fill"])
        let turned = scratch.file("turned.mov")
        _ = try Tool.run(
            Tool.ffmpeg, ["-v", "error", "-i", plain.path, "-c", "copy", "-metadata:s:v:0", "rotate=90", turned.path])
        let shown = scratch.file("shown.mp4")
        _ = try Tool.run(Tool.ffmpeg, ["-v", "error", "-i", turned.path, "-c:v", "libx264", "-qp", "0", shown.path])
        let (own, player) = (try await read(turned), try await read(shown))
        try #require(own.count == player.count && !own.isEmpty)
        #expect(own[3].size == player[3].size)
        #expect(own[3].size == PixelSize(width: 48, height: 64))
        let worst = zip(own[3].bytes, player[3].bytes).map { abs(Int($0) - Int($1)) }.max() ?? 255
        #expect(worst < 12)
    }

    @Test("pictures come in the size that is asked for")
    func size() async throws {
        let url = try ramp("25", "clip.mp4")
        for size in [PixelSize(width: 32, height: 24), PixelSize(width: 128, height: 96)] {
            let image = try #require(try await read(url, size: size).first)
            #expect(image.size == size)
            #expect(abs(Int(image.bytes[0]) - 5) < 3)
        }
    }

    @Test("sound alone, high dynamic range and what is no video are errors in words")
    func refusals() async throws {
        let sound = scratch.file("sound.wav")
        _ = try Tool.run(Tool.ffmpeg, ["-v", "error", "-f", "lavfi", "-i", "sine=d=1", sound.path])
        let noPicture = try await #require(throws: VisemeError.self) { _ = try await read(sound) }
        #expect(noPicture.message.contains("no picture"))
        let bright = try ramp(
            "25", "hdr.mp4", ["-color_trc", "smpte2084", "-colorspace", "bt2020nc", "-color_primaries", "bt2020"])
        let hdr = try await #require(throws: VisemeError.self) { _ = try await read(bright) }
        #expect(hdr.code == .unsupported && hdr.message.contains("high dynamic range"))
        let text = scratch.file("text.mp4")
        try Data("not a video".utf8).write(to: text)
        let none = try await #require(throws: VisemeError.self) { _ = try await read(text) }
        #expect(none.code == .badData)
    }
}
