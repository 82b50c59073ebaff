import ArgumentParser
import Foundation
import Viseme
import VisemeFFmpeg
import VisemeModels

/// `viseme bench`.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure whole renders on this machine, and other programs in turn with them.",
        discussion: """
            Every figure is of a process of its own: start, loading, decoding, audio, generation, H.264, mux. One run before \
            the first warms the file cache and does not count. A program to compare with is called as \
            COMMAND PACK AUDIO OUTPUT THREADS and prints {"cpuSeconds": …, "peakMemoryBytes": …}; it runs after each of ours: \
            A B A B. Quote ratios: machines differ, and may be busy.
            """)

    @OptionGroup var engine: EngineOptions

    @Option(help: "Speech to take the clips from, repeated where it is too short.")
    var audio: String

    @Option(help: ArgumentHelp("Lengths of the clips.", valueName: "s,s,…"))
    var seconds = Numbers([4, 40])

    @Option(help: ArgumentHelp("Numbers of cores; all of them by default.", valueName: "n,n,…"))
    var cores: Numbers?

    @Option(help: "How often each is run.")
    var runs = 3

    @Option(help: ArgumentHelp("A program to compare with. May be repeated.", valueName: "command"))
    var against: [String] = []

    @Flag(help: "Print the figures as JSON.")
    var json = false

    func validate() throws {
        guard seconds.values.allSatisfy({ (1...7200).contains($0) }) else {
            throw ValidationError("--seconds is 1…7200, separated by commas.")
        }
        guard (1...100).contains(runs) else { throw ValidationError("--runs is 1…100.") }
    }

    func run() async throws {
        let avatar = try engine.openAvatar()
        // Refused here rather than by each of the programs that are measured.
        for role in ModelRole.drawing { _ = try await WeightJudge().admit(avatar.model(role)) }
        let folder = FileManager.default.temporaryDirectory.appending(path: "viseme-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        // The system clears its temporary folder anyway.
        defer { try? FileManager.default.removeItem(at: folder) }

        let counts = cores?.values ?? [ProcessInfo.processInfo.activeProcessorCount]
        var report = await BenchReport(avatar: avatar.manifest.name)
        for count in counts {
            report.rooflines.append(try await Roofline(of: avatar, cores: count, engine: engine))
        }
        for length in seconds.values {
            let clip = folder.appending(path: "speech-\(length).wav")
            try await SpeechClip.write(URL(filePath: audio), seconds: length, to: clip)
            for count in counts {
                report.clips.append(try await measure(clip, seconds: length, cores: count, avatar: avatar, in: folder))
                Terminal.print(report.clips.last?.line ?? "")
            }
        }
        if json { return try Terminal.printJSON(report) }
        try Terminal.result("\(report.machine.processor), \(report.machine.cores) cores, \(report.machine.system)")
        for line in report.lines { try Terminal.result(line) }
    }

    private func measure(
        _ clip: URL, seconds: Int, cores: Int, avatar: Avatar, in folder: URL
    ) async throws -> BenchReport.Clip {
        let output = folder.appending(path: "ours.mp4").path
        var own = ["render", "--avatar", avatar.url.path, "--audio", clip.path, "-o", output, "--force", "--json"]
        own += ["--threads", "\(cores)", "--provider", engine.provider.rawValue]
        if let memory = engine.memory { own += ["--memory", "\(memory)"] }
        if let library = engine.onnxruntime { own += ["--onnxruntime", library] }
        guard let path = Bundle.main.executablePath else {
            throw VisemeError(.internal, "This program does not know its own path.")
        }
        var program = [path]
        #if os(Linux)
            // Not the generator's lanes alone: decoding, encoding and muxing on these cores, too.
            if cores < ProcessInfo.processInfo.activeProcessorCount {
                program = ["taskset", "-c", "0-\(cores - 1)"] + program
            }
        #endif
        let others = against.map { command in
            let words = command.split(separator: " ").map(String.init)
            return words + [avatar.url.path, clip.path, folder.appending(path: "other.mp4").path, "\(cores)"]
        }
        _ = try await ChildRun(program + own)
        var ours: [ChildRun] = []
        var theirs = others.map { _ in [ChildRun]() }
        for _ in 0..<runs {
            ours.append(try await ChildRun(program + own))
            for (index, command) in others.enumerated() { theirs[index].append(try await ChildRun(command)) }
        }
        return try BenchReport.Clip(
            seconds: seconds, cores: cores, viseme: ours, others: Array(zip(against, theirs)))
    }
}

/// `4,40,400` on the command line.
struct Numbers: ExpressibleByArgument, CustomStringConvertible {
    let values: [Int]
    var description: String { values.map(String.init).joined(separator: ",") }

    init(_ values: [Int]) { self.values = values }

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        guard !parts.isEmpty, parts.allSatisfy({ ($0 ?? 0) > 0 }) else { return nil }
        values = parts.compactMap(\.self)
    }
}
