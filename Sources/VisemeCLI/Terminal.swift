import Foundation
import Viseme

/// Standard error: progress, notes and errors. Standard output is for results.
enum Terminal {
    static let isInteractive = isatty(STDERR_FILENO) == 1

    /// Opens the standard streams that the caller closed (`2>&-`). The next file to be opened would otherwise be one of them,
    /// and messages would end up in it. Reading gives nothing then, and writing a result is an error.
    static func openStandardStreams() {
        for (descriptor, mode) in [(STDIN_FILENO, O_RDONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
        where fcntl(descriptor, F_GETFD) == -1 {
            _ = open("/dev/null", mode)  // the lowest number that is free: this one
        }
    }

    /// Writes to standard error. What cannot be written is dropped: a full log disk does not end a render.
    static func print(_ text: String, end: String = "\n") {
        try? FileHandle.standardError.write(contentsOf: Data((text + end).utf8))
    }

    /// Writes a result to standard output, at once.
    ///
    /// - Throws: `.cannotWrite` when it cannot be written: a result that is lost is an error.
    static func result(_ text: String, end: String = "\n") throws {
        do {
            try FileHandle.standardOutput.write(contentsOf: Data((text + end).utf8))
        } catch {
            throw VisemeError(
                .cannotWrite, "The result cannot be written to standard output.",
                hint: "Is the disk full, or the reader gone?", cause: error)
        }
    }

    /// Writes a document as a result, or as a message where standard output carries a video.
    static func printJSON(_ value: some Encodable, asMessage: Bool = false) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // JSON has no infinity: a comparison with a broken model may find one.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        let text = String(decoding: try encoder.encode(value), as: UTF8.self)
        if asMessage { print(text) } else { try result(text) }
    }
}

/// How far a stage is: a bar with rate and time left on a terminal, a line every ten seconds in a pipe.
struct Progress {
    private let stage: String
    private let total: Int?
    private let start = ContinuousClock.now
    private var lastShown: ContinuousClock.Instant?

    init(_ stage: String, total: Int?) {
        self.stage = stage
        self.total = total
    }

    mutating func update(_ done: Int) {
        let now = ContinuousClock.now
        let interval: Duration = Terminal.isInteractive ? .milliseconds(200) : .seconds(10)
        let isLast = done == total
        if let lastShown, now - lastShown < interval, !isLast { return }
        if lastShown == nil, !Terminal.isInteractive, now - start < interval, !isLast { return }
        lastShown = now
        let rate = Double(done) / max(1e-6, (now - start) / .seconds(1))
        var line = "\(stage) \(done)"
        if let total, total > 0 {
            let left = Int((Double(max(0, total - done)) / max(rate, 1e-6)).rounded())
            let filled = min(24, 24 * done / total)
            let bar = String(repeating: "█", count: filled) + String(repeating: "·", count: 24 - filled)
            let figures =
                "\(done)/\(total) frames, \(Int(rate.rounded())) fps, \(left / 60):\(left % 60 < 10 ? "0" : "")\(left % 60) left"
            line = Terminal.isInteractive ? "\(stage) \(bar) \(figures)" : "\(stage) \(figures)"
        } else {
            line += " frames, \(Int(rate.rounded())) fps"
        }
        Terminal.print(Terminal.isInteractive ? "\r\(line)\u{1B}[K" : line, end: Terminal.isInteractive ? "" : "\n")
    }

    func end() {
        if Terminal.isInteractive, lastShown != nil { Terminal.print("") }
    }
}
