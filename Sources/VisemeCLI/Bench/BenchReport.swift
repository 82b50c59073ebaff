import Foundation
import Viseme

/// The JSON of `viseme bench --json`.
struct BenchReport: Encodable {
    /// What was measured on.
    struct Machine: Encodable {
        var processor: String
        var cores = ProcessInfo.processInfo.activeProcessorCount
        var system = ProcessInfo.processInfo.operatingSystemVersionString
    }

    /// Medians of some runs of one program.
    struct Program: Encodable {
        var command: String
        /// Frames a second, of the whole process.
        var fps: Double
        var fpsPerCore: Double
        var realTimeFactor: Double
        var wallSeconds: Double
        var cpuMillisecondsPerFrame: Double?
        var peakMemoryMB: Double?
        /// Of each run, in turn.
        var allWallSeconds: [Double]
    }

    /// A comparison, pair by pair.
    struct Ratio: Encodable {
        var command: String
        var median: Double
        var pairs: [Double]
    }

    /// One length of speech on some cores.
    struct Clip: Encodable {
        var seconds: Int
        var cores: Int
        var frames: Int
        var viseme: Program
        /// From the start of the program, models loaded.
        var loadingSeconds: Double
        /// From the start of the program to the first frame given to the encoder.
        var firstFrameSeconds: Double
        /// Milliseconds a frame, waiting included; from the median run.
        var stages: [String: [String: Double]]
        var runtime: String
        var others: [Program] = []
        var ratios: [Ratio] = []
    }

    var version = Release.version
    /// The checkout's, where the program runs in one.
    var commit: String?
    var machine = Machine(processor: BenchReport.processor())
    var avatar: String
    var rooflines: [Roofline] = []
    var clips: [Clip] = []

    init(avatar: String) async {
        self.avatar = avatar
        // Without git there is no commit to tell.
        commit = (try? await ChildRun(["git", "describe", "--always", "--dirty"])).map {
            String(decoding: $0.output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }

    var lines: [String] {
        rooflines.map { roofline in
            let peak = "\(roofline.cores) cores: \(Int(roofline.peakGFLOPS)) GFLOP/s in a matrix product"
            guard let time = roofline.generatorMillisecondsAtPeak else { return peak }
            return peak + String(format: "; the generator at that rate: %.1f ms", time)
        } + clips.map(\.line)
    }

    private static func processor() -> String {
        // Only Linux has it.
        let text = (try? String(contentsOf: URL(filePath: "/proc/cpuinfo"), encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
        return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
    }
}

extension BenchReport.Clip {
    /// What `viseme render --json` and the programs to compare with say of themselves.
    private struct Said: Decodable {
        var frames: Int?
        var cpuSeconds: Double?
        var peakMemoryBytes: Double?
        var loadingSeconds: Double?
        var firstFrameSeconds: Double?
        var stagesMilliseconds: [String: [String: Double]]?
        var models: [Model]?
        struct Model: Decodable {
            var runtime: RuntimeDescription
        }
    }

    init(seconds: Int, cores: Int, viseme runs: [ChildRun], others: [(String, [ChildRun])]) throws {
        func said(_ runs: [ChildRun], _ name: String) throws -> [Said] {
            do {
                return try runs.map { try JSONDecoder().decode(Said.self, from: $0.output) }
            } catch {
                throw VisemeError(
                    .badData, "'\(name)' did not print what viseme bench reads: {\"cpuSeconds\": …}", cause: error)
            }
        }
        let own = try said(runs, "viseme render")
        let frames = own.first?.frames ?? seconds * LiveUnit.perSecond
        func program(_ name: String, _ runs: [ChildRun], _ said: [Said]) -> BenchReport.Program {
            let wall = median(runs.map(\.wall))
            let fps = Double(frames) / wall
            return BenchReport.Program(
                command: name, fps: fps, fpsPerCore: fps / Double(cores),
                realTimeFactor: fps / Double(LiveUnit.perSecond), wallSeconds: wall,
                cpuMillisecondsPerFrame: median(said.compactMap(\.cpuSeconds)) * 1000 / Double(frames),
                peakMemoryMB: median(said.compactMap(\.peakMemoryBytes)) / 1e6, allWallSeconds: runs.map(\.wall))
        }
        self.seconds = seconds
        self.cores = cores
        self.frames = frames
        viseme = program("viseme render", runs, own)
        loadingSeconds = median(own.compactMap(\.loadingSeconds))
        firstFrameSeconds = median(own.compactMap(\.firstFrameSeconds))
        let middle = runs.indices.sorted { runs[$0].wall < runs[$1].wall }[runs.count / 2]
        stages = own[middle].stagesMilliseconds ?? [:]
        runtime =
            own[middle].models?.last.map { "\($0.runtime.runtime) \($0.runtime.version), \($0.runtime.provider)" } ?? ""
        for (name, theirs) in others {
            self.others.append(program(name, theirs, try said(theirs, name)))
            let pairs = zip(runs, theirs).map { $1.wall / $0.wall }
            ratios.append(BenchReport.Ratio(command: name, median: median(pairs), pairs: pairs))
        }
    }

    var line: String {
        var text = String(
            format: "%4d s on %d cores: %.1f fps, %.1f ms of processor time a frame, first frame after %.2f s, %.0f MB",
            seconds, cores, viseme.fps, viseme.cpuMillisecondsPerFrame ?? 0, firstFrameSeconds, viseme.peakMemoryMB ?? 0
        )
        for (other, ratio) in zip(others, ratios) {
            text += String(format: "\n       %.1f fps, 1 : %.2f  ", other.fps, ratio.median) + other.command
        }
        return text
    }
}

/// The middle value; 0 of none.
private func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return 0 }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
