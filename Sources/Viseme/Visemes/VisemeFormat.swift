/// The forms in which mouth shapes are written.
public enum VisemeFormat: String, Sendable, CaseIterable {
    /// One JSON document: names once, then one array of numbers a sample.
    case json
    /// One JSON object a line and sample: for pipes and live speech.
    case jsonl
    /// A header, then one line a sample, separated by commas.
    case csv
    /// The same, separated by tabs.
    case tsv
    /// WebVTT cues whose text is the viseme.
    case vtt
    /// ARKit's 52 blend shapes: names once, then one array of weights a sample.
    case arkit
    /// The fifteen Oculus visemes: weights a sample, and as cues with start and duration in milliseconds.
    case oculus
    /// Rhubarb Lip Sync's letters in its own forms: tab-separated, JSON, XML.
    case rhubarb
    case rhubarbJSON = "rhubarb-json"
    case rhubarbXML = "rhubarb-xml"

    /// Whether it has samples at a rate, and not only cues.
    public var hasRate: Bool { [.json, .jsonl, .csv, .tsv, .arkit, .oculus].contains(self) }
}
