import CFFmpeg
import Foundation
import Testing
import Viseme
import VisemeTestSupport

@testable import VisemeFFmpeg

/// Frames of a video stay in 4:2:0; what is converted must be what a conversion of the whole gives.
@Suite("Pictures in 4:2:0")
struct PictureTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func template(width: Int, height: Int) async throws -> any TemplateReader {
        let url = scratch.url.appendingPathComponent("t.mp4")
        try await Pictures.write(3, to: url, width: width, height: height)
        return try await FFmpeg().template(at: url, memory: 1 << 24)
    }

    @Test("Any part of a decoded picture has the very pixels of the whole", arguments: [(64, 48), (640, 360)])
    func parts(width: Int, height: Int) async throws {
        let picture = try await template(width: width, height: height).frame(at: 2)
        #expect(picture is PlanarPicture)
        #expect(picture.byteCount == width * height * 3 / 2)
        let whole = try picture.image()
        #expect(Pictures.difference(whole, Pictures.frame(2, width: width, height: height)) < 6)
        var random = SeededRandom(width)
        for number in 0..<60 {
            var (x, y) = (Int.random(in: 0..<width, using: &random), Int.random(in: 0..<height, using: &random))
            if number % 5 == 0 { (x, y) = (0, 0) }
            let area = PixelArea(
                x: x, y: y, width: Int.random(in: 1...width - x, using: &random),
                height: Int.random(in: 1...height - y, using: &random))
            #expect(try picture.image(of: area) == whole.image(of: area), "\(area)")
        }
    }

    @Test("A patched picture is coded like the whole where it changed, and as it came elsewhere", arguments: 0..<20)
    func coded(seed: Int) async throws {
        let (width, height) = (96, 80)
        let base = try #require(try await template(width: width, height: height).frame(at: 1) as? PlanarPicture)
        #expect(base.isEncodable)
        var random = SeededRandom(seed)
        let size = Int.random(in: 8...60, using: &random)
        let square = PixelArea(
            x: seed == 0 ? 0 : Int.random(in: 0...width - size, using: &random),
            y: seed == 0 ? 0 : Int.random(in: 0...height - size, using: &random), side: size)
        let area = PatchedPicture.area(of: square, in: base)
        var patch = try base.image(of: area)
        for y in square.y - area.y..<square.y - area.y + size {
            for x in square.x - area.x..<square.x - area.x + size {
                for c in 0..<3 {
                    patch.bytes[(y * area.width + x) * 3 + c] = UInt8((x * 7 + y * 3 + c * 90 + seed) % 256)
                }
            }
        }
        let patched = PatchedPicture(base, patch: patch, area: area, square: square)
        var fast = try PixelWriter(width: width, height: height)
        var slow = try PixelWriter(width: width, height: height)
        try fast.convert(patched)
        try slow.convert(try patched.image())
        let came = try AVFrameBox(width: width, height: height, format: AV_PIX_FMT_YUV420P)
        base.copy(PixelArea(x: 0, y: 0, width: width, height: height), to: came)
        let changed = patched.changed
        let (ours, whole, source) = (planes(of: fast.target), planes(of: slow.target), planes(of: came))
        var differences = 0
        for plane in 0..<3 {
            let share = plane == 0 ? 1 : 2
            let columns = width / share
            for i in ours[plane].indices {
                let (x, y) = (i % columns * share, i / columns * share)
                let isInside =
                    changed.x..<changed.x + changed.width ~= x && changed.y..<changed.y + changed.height ~= y
                if ours[plane][i] != (isInside ? whole : source)[plane][i] { differences += 1 }
            }
        }
        #expect(differences == 0)
    }

    /// The bytes of Y, Cb and Cr.
    private func planes(of frame: borrowing AVFrameBox) -> [[UInt8]] {
        let raw = frame.pointer.pointee
        let planes = [
            (raw.data.0, raw.linesize.0, 1), (raw.data.1, raw.linesize.1, 2), (raw.data.2, raw.linesize.2, 2),
        ]
        return planes.map { data, stride, share in
            (0..<Int(raw.height) / share).flatMap { y in
                (0..<Int(raw.width) / share).map { x in data?[y * Int(stride) + x] ?? 0 }
            }
        }
    }
}
