import Foundation
import Testing
import Viseme
import VisemeTestSupport

@testable import VisemeFFmpeg

@Suite("Allocations of live video", .enabled(if: Allocations.areCounted, "only counted with glibc"))
struct LiveAllocationTests {
    @Test("Writing a unit into a container", arguments: [LiveRequest.Container.mp4, .ts])
    func mux(container: LiveRequest.Container) async throws {
        let encoder = try LiveEncoder(width: 64, height: 48, sound: AudioFormat(rate: 48_000, channels: 1), crf: 23)
        var units: [EncodedUnit] = []
        for number in 0..<50 {
            let sound = try await encoder.sound([Float](repeating: 0, count: 1920))
            units.append(
                EncodedUnit(index: number, picture: try await encoder.picture(Pictures.frame(number)), sound: sound))
        }
        let muxer = try LiveMuxer(encoder.format, container: container, software: "test")
        let each = try await allocations(of: muxer, units)
        #expect(each <= 26)
    }

    private func allocations(of muxer: isolated LiveMuxer, _ units: [EncodedUnit]) throws -> Int {
        _ = muxer.header()
        var remaining = units[...]
        return try Allocations.each(of: 40) { _ = try muxer.write(remaining.removeFirst()) }
    }
}
