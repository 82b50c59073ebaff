import Foundation
import Testing
import VisemeTestSupport
import Viseme
import VisemeFFmpeg
import VisemeModels
import VisemeONNX

/// Figures of live sessions on the default avatar, for docs/decisions/0010: they depend on the machine, so no gate is here.
@Suite(
    "Live measurements",
    .enabled(
        if: ProcessInfo.processInfo.environment["VISEME_MEASURE"] == "1", "They take a minute: set VISEME_MEASURE=1"),
    .serialized)
struct LiveMeasurements {
    private func engine() async throws -> Engine {
        let library: String = try #require(Repository.onnxRuntime, "ONNX Runtime is not in .deps: run make setup")
        return try await Engine(
            Avatar(contentsOf: Repository.robin),
            backend: TranslatingBackend(splitting: ONNXBackend(libraryPath: library)), media: FFmpeg(),
            judge: WeightJudge())
    }

    private func speech() async throws -> [Float] {
        let reader = try await FFmpeg().speech(at: Repository.root.appending(path: "samples/hello.wav"))
        var samples: [Float] = []
        while let more = try await reader.read() { samples += more }
        return samples
    }

    /// Processor seconds of this process.
    private func processor() -> Double {
        Double(clock()) / Double(CLOCKS_PER_SEC)
    }

    @Test("First frame, interruption and processor time, sentence by sentence")
    func latency() async throws {
        let session = try await LiveSession(engine())
        let samples = try await speech()
        var (idle, speaking) = ((frames: 0, seconds: 0.0), (frames: 0, seconds: 0.0))
        for sentence in 0..<12 {
            let before = processor()
            for _ in 0..<25 { _ = try await session.next() }
            if sentence > 0 { idle = (idle.frames + 25, idle.seconds + processor() - before) }
            if sentence % 2 == 0 {
                try await session.push(samples)
            } else {
                // As from a microphone.
                Task {
                    for start in stride(from: 0, to: 48000, by: 320) {
                        try await session.push(Array(samples[start..<start + 320]))
                        try await Task.sleep(for: .milliseconds(20))
                    }
                }
            }
            while try await session.next()?.isSpeech == false {}
            let start = processor()
            for _ in 0..<40 { _ = try await session.next() }
            speaking = (speaking.frames + 40, speaking.seconds + processor() - start)
            await session.interrupt()
            for _ in 0..<25 { _ = try await session.next() }
        }
        let report = await session.report
        print("live: \(report)")
        print("live: idle \(idle.seconds / Double(idle.frames) * 1000) ms of processor time a frame")
        print("live: speaking \(speaking.seconds / Double(speaking.frames) * 1000) ms of processor time a frame")
    }

    @Test("The steps of the picture inside the square, from idleness into speech and back, and the template's own")
    func steps() async throws {
        let engine = try await engine()
        let session = try await LiveSession(engine)
        let samples = try await speech()
        var units: [LiveUnit] = []
        func pull(_ count: Int) async throws {
            for _ in 0..<count {
                if let unit = try await session.next() { units.append(unit) }
            }
        }
        try await pull(330)
        try await session.push(Array(samples.prefix(32000)))
        await session.finish()
        try await pull(100)
        func step(_ a: Frame, _ b: Frame) throws -> (mean: Double, channel: Double) {
            var (sum, signed) = (0, [0, 0, 0])
            let (x, y) = try (a.square.bytes(of: a.image), a.square.bytes(of: b.image))
            for i in x.indices {
                sum += abs(Int(x[i]) - Int(y[i]))
                signed[i % 3] += Int(x[i]) - Int(y[i])
            }
            let count = Double(x.count)
            return (Double(sum) / count, Double(signed.map(abs).max() ?? 0) * 3 / count)
        }
        var own: [(mean: Double, channel: Double)] = []
        for (a, b) in zip(units, units.dropFirst()) {
            guard let first = a.frame, let second = b.frame else { continue }
            let found = try step(first, second)
            if first.origin == .template, second.origin == .template {
                own.append(found)
            } else if !a.isSpeech || !b.isSpeech {
                print("live: \(first.origin) → \(second.origin), speech \(a.isSpeech) \(b.isSpeech): \(found)")
            }
        }
        print("live: the template's own, at most: \(own.map(\.mean).max() ?? 0) \(own.map(\.channel).max() ?? 0)")
    }
}

extension PixelArea {
    fileprivate func bytes(of image: Image) -> [UInt8] {
        var result: [UInt8] = []
        for row in y..<y + height {
            let start = (row * image.width + x) * 3
            result += image.bytes[start..<start + width * 3]
        }
        return result
    }
}
