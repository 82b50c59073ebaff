import Foundation
import Synchronization
import Viseme

/// Counters and histograms since the server's start, as Prometheus reads them.
final class Metrics: Sendable {
    /// The help text of each metric, gauges and counters.
    static let help = [
        "sessions": "Live sessions.", "sessions_speaking": "Sessions that are speaking.",
        "sessions_limit": "The most sessions at once.", "viewers": "Open streams, of video and of units.",
        "pictures_per_second": "Pictures made in the last second, all sessions.",
        "resident_bytes": "Bytes of this process in memory.", "renders_running": "Render jobs that are running.",
        "renders_waiting": "Render jobs that are waiting.",
        "renders_kept": "Render jobs that are kept, including ended ones.",
        "sessions_total": "Sessions created.", "sessions_failed_total": "Sessions that ended with an error.",
        "refused_total": "Requests refused because a limit was reached, by reason.",
        "slow_viewers_total": "Viewers disconnected because they fell behind.",
        "http_responses_total": "Responses by status.", "units_total": "Units of 40 ms made by sessions.",
        "speech_units_total": "Units with speech.", "dropped_total": "Pictures dropped because they were late.",
        "late_total": "Units made after their deadline.",
        "starved_total": "Units of an utterance without speech samples in time.",
        "interrupts_total": "Interruptions.",
        "http_request_seconds": "Time from request head to response head.",
        "speech_start_seconds": "Time from a speech request to its first unit.",
        "build_info": "The version of the program; always 1.",
    ]
    /// Counters that start at 0.
    private static let counters: [(String, [String])] = [
        ("sessions_total", [""]), ("sessions_failed_total", [""]), ("slow_viewers_total", [""]), ("units_total", [""]),
        ("speech_units_total", [""]), ("dropped_total", [""]), ("late_total", [""]), ("starved_total", [""]),
        ("interrupts_total", [""]),
        ("refused_total", ["sessions", "client", "speaking"].map { "{reason=\"\($0)\"}" }),
        ("http_responses_total", [200, 400, 401, 404, 500, 503].map { "{status=\"\($0)\"}" }),
    ]
    /// Upper bounds of the histogram buckets, in seconds.
    private static let bounds = [0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.5, 0.75, 1, 2, 5, 10]

    private struct Histogram {
        var buckets = [Int](repeating: 0, count: Metrics.bounds.count)
        var count = 0
        var sum = 0.0
    }

    private struct State {
        var counters = Dictionary(
            uniqueKeysWithValues: Metrics.counters.map { name, labels in
                (name, Dictionary(uniqueKeysWithValues: labels.map { ($0, 0) }))
            })
        var histograms = ["http_request_seconds": Histogram(), "speech_start_seconds": Histogram()]
    }

    private let state = Mutex(State())

    /// Adds to a counter.
    ///
    /// - Parameter label: A name and a value; each value makes one time series, so use few.
    func count(_ name: String, by amount: Int = 1, label: (name: String, value: String)? = nil) {
        let labels = label.map { "{\($0.name)=\"\($0.value)\"}" } ?? ""
        state.withLock { $0.counters[name, default: [:]][labels, default: 0] += amount }
    }

    /// Adds to a histogram.
    func observe(_ name: String, _ duration: Duration) {
        let seconds = duration / .seconds(1)
        state.withLock {
            var histogram = $0.histograms[name] ?? Histogram()
            histogram.count += 1
            histogram.sum += seconds
            for (index, bound) in Self.bounds.enumerated() where seconds <= bound { histogram.buckets[index] += 1 }
            $0.histograms[name] = histogram
        }
    }

    /// The text of `/metrics`.
    ///
    /// - Parameter gauges: The current values.
    func text(gauges: [(name: String, value: Double)]) -> String {
        let state = state.withLock { $0 }
        var lines: [String] = []
        func begin(_ name: String, _ type: String) {
            if let help = Self.help[name] { lines.append("# HELP viseme_\(name) \(help)") }
            lines.append("# TYPE viseme_\(name) \(type)")
        }
        begin("build_info", "gauge")
        lines.append("viseme_build_info{version=\"\(Release.version)\"} 1")
        for (name, value) in gauges {
            begin(name, "gauge")
            lines.append("viseme_\(name) \(value)")
        }
        for (name, values) in state.counters.sorted(by: { $0.key < $1.key }) {
            begin(name, "counter")
            lines += values.sorted { $0.key < $1.key }.map { "viseme_\(name)\($0.key) \($0.value)" }
        }
        for (name, histogram) in state.histograms.sorted(by: { $0.key < $1.key }) {
            begin(name, "histogram")
            for (bound, count) in zip(Self.bounds, histogram.buckets) {
                lines.append("viseme_\(name)_bucket{le=\"\(bound)\"} \(count)")
            }
            lines += [
                "viseme_\(name)_bucket{le=\"+Inf\"} \(histogram.count)", "viseme_\(name)_sum \(histogram.sum)",
                "viseme_\(name)_count \(histogram.count)",
            ]
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Resident memory of this process in bytes; 0 where the system does not report it.
    static func residentBytes() -> Int {
        // Linux only: the second number is the resident pages.
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
