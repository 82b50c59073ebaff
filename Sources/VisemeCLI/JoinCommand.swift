import ArgumentParser
import Foundation
import Viseme
import VisemeFFmpeg

/// `viseme join`.
struct JoinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join",
        abstract: "Join segments of one render and the original sound, without encoding again.",
        discussion: """
            A long speech can be rendered in parts, on any number of machines: viseme render --range 0:1500, 1500:3000, … A part that begins \
            at a multiple of 100 frames has its key frames where one render has them. The joined video has the frames of one render \
            and the original sound; segments that are missing, there twice, not whole or of another render are an error.
            """)

    @Argument(help: "The segments, in any order.")
    var segments: [String]

    @Option(help: "The speech that was rendered.")
    var audio: String

    @Option(name: .shortAndLong, help: "The video to write: .mp4, .mov or .mkv.")
    var output: String

    @Flag(help: "Replace an existing output.")
    var force = false

    @Flag(help: "Print a report as JSON.")
    var json = false

    private struct Document: Encodable {
        var output: String
        var segments: Int
        var frames: Int
        var videoSeconds: Double
        var audioSeconds: Double
        var sound: String
        var warnings: [String]
    }

    func run() async throws {
        let media = FFmpeg.viseme
        let (sound, target) = (URL(filePath: audio), URL(filePath: output))
        try media.check(sound: sound, output: target, overwrite: force)
        let report = try await media.join(
            segments.map { URL(filePath: $0) }, sound: sound, to: target, overwrite: force)
        for note in report.notes { Terminal.print("note: \(note)") }
        if json {
            try Terminal.printJSON(
                Document(
                    output: output, segments: segments.count, frames: report.frames, videoSeconds: report.videoSeconds,
                    audioSeconds: report.audioSeconds, sound: report.sound, warnings: report.notes))
        } else {
            Terminal.print("\(report.frames) frames of \(segments.count) segments, sound: \(report.sound)")
            try Terminal.result(output)
        }
    }
}
