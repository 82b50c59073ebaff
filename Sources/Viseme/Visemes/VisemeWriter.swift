/// Writes mouth shapes as text, piece by piece: nothing of the speech is kept but the last frame.
///
/// ```swift
/// var writer = VisemeWriter(.csv)
/// for try await shape in reader.shapes(for: speech) { print(writer.append(shape), terminator: "") }
/// print(writer.finish(), terminator: "")
/// ```
///
/// Numbers have at most four decimals; times count from the beginning of the speech, those of samples are their middles.
public struct VisemeWriter: Sendable {
    /// The rates that samples may have; the frames have 25.
    public static let rates = 25...120

    private let format: VisemeFormat
    private let rate: Int
    private let soundFile: String
    private var curve: MouthCurve
    private var visemes = MouthCues<OculusViseme>(brief: [.pp, .ff])
    private var letters = MouthCues<MouthLetter>(brief: [.a, .g])
    private var visemeCues: [MouthCue<OculusViseme>] = []
    private var samples = 0
    private var frames = 0
    private var hasBegun = false
    /// Rhubarb's JSON and XML tell the duration before the cues, so these wait: some bytes a cue.
    private var heldCues: [String] = []

    /// Begins a text.
    ///
    /// - Parameters:
    ///   - rate: Samples a second, `VisemeWriter.rates`. Cues do not depend on it.
    ///   - soundFile: The name of the recording; Rhubarb's forms and JSON carry it.
    public init(_ format: VisemeFormat, rate: Int = 25, soundFile: String = "") {
        precondition(Self.rates.contains(rate))
        self.format = format
        self.rate = rate
        self.soundFile = soundFile
        curve = MouthCurve(rate: rate)
    }

    /// Takes the next frame's shape.
    ///
    /// - Returns: What can be written now; an empty string when that is nothing.
    public mutating func append(_ shape: MouthShape) -> String {
        frames += 1
        var text = begin()
        switch format {
        case .vtt: if let cue = visemes.append(OculusViseme(of: shape)) { text += Self.vtt(cue, cue.name.rawValue) }
        case .rhubarb, .rhubarbJSON, .rhubarbXML:
            if let cue = letters.append(MouthLetter(of: shape)) { text += letter(cue) }
        default:
            if format == .oculus, let cue = visemes.append(OculusViseme(of: shape)) { visemeCues.append(cue) }
            for sample in curve.append(shape) { text += line(sample) }
        }
        return text
    }

    /// Ends the speech.
    ///
    /// - Returns: The rest of the text.
    public mutating func finish() -> String {
        var text = begin()
        for sample in curve.finish() where format.hasRate { text += line(sample) }
        for cue in letters.finish() { text += letter(cue) }
        let last = visemes.finish()
        if format == .vtt { for cue in last { text += Self.vtt(cue, cue.name.rawValue) } }
        visemeCues += last
        return text + end()
    }

    /// A WebVTT file of words.
    public static func webVTT(_ words: [MouthCue<String>]) -> String {
        "WEBVTT\n\n" + words.map { vtt($0, escaped($0.name)) }.joined()
    }

    // MARK: - Pieces

    private var duration: Double { Double(frames) / 25 }

    private mutating func begin() -> String {
        guard !hasBegun else { return "" }
        hasBegun = true
        switch format {
        case .jsonl, .rhubarb: return ""
        case .csv: return header(",")
        case .tsv: return header("\t")
        case .vtt: return "WEBVTT\n\n"
        case .json:
            return
                "{\"format\":\"viseme\",\"version\":1,\"sound\":\(Self.quoted(soundFile)),\"rate\":\(rate),\"columns\":"
                + "\(Self.list(["time"] + MouthShape.parameterNames + ["viseme"])),\"samples\":["
        case .arkit:
            return "{\"format\":\"arkit\",\"sound\":\(Self.quoted(soundFile)),\"rate\":\(rate),\"names\":"
                + "\(Self.list(BlendShapes.names)),\"frames\":["
        case .oculus:
            return "{\"format\":\"oculus\",\"sound\":\(Self.quoted(soundFile)),\"rate\":\(rate),\"names\":"
                + "\(Self.list(OculusViseme.allCases.map(\.rawValue))),\"frames\":["
        case .rhubarbJSON: return "{\n  \"metadata\": {\n    \"soundFile\": \(Self.quoted(soundFile))"
        case .rhubarbXML: return ""
        }
    }

    private func header(_ separator: String) -> String {
        (["time"] + MouthShape.parameterNames + ["viseme"]).joined(separator: separator) + "\n"
    }

    private mutating func line(_ shape: MouthShape) -> String {
        defer { samples += 1 }
        let time = Self.number((Double(samples) + 0.5) / Double(rate))
        let values = shape.parameters.map { Self.number(Double($0)) }
        let comma = samples == 0 ? "\n" : ",\n"
        switch format {
        case .json:
            return "\(comma)[\(time),\(values.joined(separator: ",")),\"\(OculusViseme(of: shape).rawValue)\"]"
        case .jsonl: return Self.object(shape, time: time) + "\n"
        case .csv: return "\(time),\(values.joined(separator: ",")),\(OculusViseme(of: shape).rawValue)\n"
        case .tsv: return "\(time)\t\(values.joined(separator: "\t"))\t\(OculusViseme(of: shape).rawValue)\n"
        case .arkit: return "\(comma)\(Self.array(BlendShapes.all(of: shape)))"
        case .oculus: return "\(comma)\(Self.array(OculusViseme.weights(of: shape)))"
        case .vtt, .rhubarb, .rhubarbJSON, .rhubarbXML: return ""
        }
    }

    private static func vtt<Name>(_ cue: MouthCue<Name>, _ text: String) -> String {
        "\(clock(cue.start)) --> \(clock(cue.end))\n\(text)\n\n"
    }

    private mutating func letter(_ cue: MouthCue<MouthLetter>) -> String {
        let (start, end) = (Self.hundredths(cue.start), Self.hundredths(cue.end))
        switch format {
        case .rhubarb: return "\(start)\t\(cue.name.rawValue)\n"
        case .rhubarbJSON:
            heldCues.append("    { \"start\": \(start), \"end\": \(end), \"value\": \"\(cue.name.rawValue)\" }")
            return ""
        case .rhubarbXML:
            heldCues.append("    <mouthCue start=\"\(start)\" end=\"\(end)\">\(cue.name.rawValue)</mouthCue>")
            return ""
        default: return ""
        }
    }

    private func end() -> String {
        switch format {
        case .json, .arkit: return "\n]}\n"
        case .oculus:
            let cues = visemeCues
            return "\n],\"visemes\":\(Self.list(cues.map(\.name.rawValue))),\"vtimes\":"
                + "[\(cues.map { Self.number($0.start * 1000) }.joined(separator: ","))],\"vdurations\":"
                + "[\(cues.map { Self.number(($0.end - $0.start) * 1000) }.joined(separator: ","))]}\n"
        // Rhubarb ends with a closed mouth where the recording ends.
        case .rhubarb: return "\(Self.hundredths(duration))\tX\n"
        case .rhubarbJSON:
            return ",\n    \"duration\": \(Self.hundredths(duration))\n  },\n  \"mouthCues\": [\n"
                + heldCues.joined(separator: ",\n") + "\n  ]\n}\n"
        case .rhubarbXML:
            return "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<rhubarbResult>\n  <metadata>\n    <soundFile>"
                + Self.escaped(soundFile)
                + "</soundFile>\n    <duration>\(Self.hundredths(duration))</duration>\n  </metadata>\n"
                + "  <mouthCues>\n" + heldCues.map { $0 + "\n" }.joined() + "  </mouthCues>\n</rhubarbResult>\n"
        case .jsonl, .csv, .tsv, .vtt: return ""
        }
    }

    // MARK: - Numbers and names

    /// A shape as one JSON object, as `jsonl` and the live events have it.
    public static func object(_ shape: MouthShape, time: Double) -> String { object(shape, time: number(time)) }

    private static func object(_ shape: MouthShape, time: String) -> String {
        let weights = OculusViseme.weights(of: shape)
        let named = zip(MouthShape.parameterNames, shape.parameters).map { "\"\($0)\":\(number(Double($1)))" }.joined(
            separator: ",")
        return "{\"time\":\(time),\(named),\"viseme\":\"\(OculusViseme(most: weights).rawValue)\","
            + "\"visemes\":\(array(weights))}"
    }

    /// At most four decimals.
    private static func number(_ value: Double) -> String {
        decimal(value, places: 10_000, digits: 4, keepsZeros: false)
    }
    private static func hundredths(_ value: Double) -> String {
        decimal(value, places: 100, digits: 2, keepsZeros: true)
    }

    private static func decimal(_ value: Double, places: Int, digits: Int, keepsZeros: Bool) -> String {
        let scaled = Int((value * Double(places)).rounded())
        let whole = abs(scaled) / places
        var fraction = String(abs(scaled) % places)
        fraction = String(repeating: "0", count: digits - fraction.count) + fraction
        if !keepsZeros { while fraction.last == "0" { fraction.removeLast() } }
        return (scaled < 0 ? "-" : "") + "\(whole)" + (fraction.isEmpty ? "" : ".\(fraction)")
    }

    private static func clock(_ seconds: Double) -> String {
        let milliseconds = Int((seconds * 1000).rounded())
        func padded(_ value: Int, _ digits: Int) -> String {
            String(repeating: "0", count: max(0, digits - String(value).count)) + String(value)
        }
        return padded(milliseconds / 3_600_000, 2) + ":" + padded(milliseconds / 60_000 % 60, 2) + ":"
            + padded(milliseconds / 1000 % 60, 2) + "." + padded(milliseconds % 1000, 3)
    }

    private static func array(_ values: [Float]) -> String {
        "[\(values.map { number(Double($0)) }.joined(separator: ","))]"
    }

    private static func list(_ names: [String]) -> String { "[\(names.map(quoted).joined(separator: ","))]" }

    private static func quoted(_ text: String) -> String {
        let inside = replacing(text) { scalar in
            switch scalar {
            case "\"": return "\\\""
            case "\\": return "\\\\"
            case let control where control.value < 0x20:
                let hex = String(control.value, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: return nil
            }
        }
        return "\"\(inside)\""
    }

    private static func escaped(_ text: String) -> String {
        replacing(text) { scalar in
            switch scalar {
            case "&": "&amp;"
            case "<": "&lt;"
            case ">": "&gt;"
            // XML 1.0 has no other control characters, not even escaped.
            case let control where control.value < 0x20 && !"\t\n\r".unicodeScalars.contains(control): "\u{FFFD}"
            default: nil
            }
        }
    }

    /// The text with what `escape` says in place of the characters for which it says something.
    private static func replacing(_ text: String, _ escape: (Unicode.Scalar) -> String?) -> String {
        var out = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if let escape = escape(scalar) { out += escape.unicodeScalars } else { out.append(scalar) }
        }
        return String(out)
    }
}
