import Foundation
import HTTPTypes
import Hummingbird
import Viseme
import VisemeFFmpeg

extension Request {
    /// The sample format that the request declares in its query or `Content-Type`; nil for a container.
    ///
    /// - Throws: `.usage` for an incomplete format.
    var rawSamples: RawSamples? {
        get throws {
            let query = uri.queryParameters
            var values = ["format", "rate", "channels"].reduce(into: [:]) { $0[$1] = query.get($1) }
            // RFC 2586 says big-endian, but browsers and scripts send little-endian.
            if let type = headers[.contentType]?.lowercased(), type.hasPrefix("audio/l16") {
                values["format"] = values["format"] ?? "s16le"
                for part in type.split(separator: ";").dropFirst() {
                    let pair = part.split(separator: "=").map { $0.trimmingCharacters(in: .whitespaces) }
                    guard pair.count == 2, ["rate", "channels"].contains(pair[0]) else { continue }
                    values[pair[0]] = values[pair[0]] ?? pair[1]
                }
            }
            guard !values.isEmpty else { return nil }
            guard let format = values["format"].flatMap({ RawSamples.Format(rawValue: $0) }),
                let rate = values["rate"].flatMap({ Int($0) }), let channels = Int(values["channels"] ?? "1")
            else {
                throw VisemeError(
                    .usage, "Raw samples need a format, s16le or f32le, and a rate",
                    hint: "…/audio?format=s16le&rate=16000&channels=1, or a container such as WAV without a query")
            }
            let samples = RawSamples(format: format, rate: rate, channels: channels)
            try samples.validate()
            return samples
        }
    }

    /// Whether the client asks for the mouth's shapes.
    ///
    /// - Throws: `.usage` for another value of `visemes` than 0 and 1.
    var wantsVisemes: Bool {
        get throws {
            switch uri.queryParameters.get("visemes") ?? "0" {
            case "0": return false
            case "1": return true
            case let other: throw VisemeError(.usage, "\"visemes\" is '\(other.prefix(64))', expected 0 or 1")
            }
        }
    }

    /// The utterance that the request names, and whether it ends with the body.
    ///
    /// - Throws: `.usage` for another value of `finish` than true and false.
    var utterance: (name: String?, isWhole: Bool) {
        get throws {
            let finish = uri.queryParameters.get("finish") ?? "false"
            guard let isWhole = Bool(finish) else {
                throw VisemeError(.usage, "\"finish\" is '\(finish.prefix(64))', expected true or false")
            }
            return (uri.queryParameters.get("utterance"), isWhole)
        }
    }

    /// The number of template frames that a reader of units keeps.
    ///
    /// - Parameter frames: The number of template frames.
    /// - Throws: `.usage`.
    func keptTemplates(of frames: Int) throws -> Int {
        guard let wanted = uri.queryParameters.get("templates") else { return 0 }
        if wanted == "all" { return frames }
        guard let kept = Int(wanted), kept >= 0 else {
            throw VisemeError(.usage, "\"templates\" is '\(wanted.prefix(64))', expected a number or all")
        }
        return min(kept, frames)
    }
}
