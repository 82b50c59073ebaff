#if Server
    import Foundation
    import Logging

    /// Writes one JSON object a line to standard error. A line that cannot be written is dropped.
    struct JSONLogHandler: LogHandler {
        let label: String
        var logLevel = Logger.Level.info
        var metadata: Logger.Metadata = [:]

        init(label: String) { self.label = label }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            try? FileHandle.standardError.write(contentsOf: Self.line(event, label: label, metadata: metadata))
        }

        /// A log line; values of the handler go below those of the event.
        static func line(_ event: LogEvent, label: String, metadata: Logger.Metadata, at date: Date = Date()) -> Data {
            var fields = metadata.merging(event.metadata ?? [:]) { $1 }.mapValues { "\($0)" }
            if let error = event.error { fields["error"] = "\(error)" }
            fields["time"] = date.formatted(.iso8601.year().month().day().time(includingFractionalSeconds: true))
            fields["level"] = event.level.rawValue
            fields["message"] = "\(event.message)"
            fields["logger"] = label
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            // Texts only: nothing in them cannot be encoded.
            return ((try? encoder.encode(fields)) ?? Data("{}".utf8)) + Data("\n".utf8)
        }
    }
#endif
