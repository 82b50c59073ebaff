import Foundation
import Synchronization

/// Counters and histograms since the server's start, as Prometheus reads them.
final class Metrics: Sendable {
    /// Upper bounds of a latency's buckets, in seconds.
    private static let bounds = [0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.5, 0.75, 1, 2, 5, 10]

    private struct Histogram {
        var buckets = [Int](repeating: 0, count: Metrics.bounds.count)
        var count = 0
        var sum = 0.0
    }

    private struct State {
        var counters: [String: [String: Int]] = [:]
        var histograms: [String: Histogram] = [:]
    }

    private let state = Mutex(State())

    /// Adds to a counter.
    ///
    /// - Parameter label: A name, and a value out of few: each makes a line of its own.
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
    /// - Parameter gauges: Values of this moment.
    func text(gauges: [(name: String, value: Double)]) -> String {
        let state = state.withLock { $0 }
        var lines: [String] = []
        for (name, value) in gauges { lines += ["# TYPE viseme_\(name) gauge", "viseme_\(name) \(value)"] }
        for (name, values) in state.counters.sorted(by: { $0.key < $1.key }) {
            lines.append("# TYPE viseme_\(name) counter")
            lines += values.sorted { $0.key < $1.key }.map { "viseme_\(name)\($0.key) \($0.value)" }
        }
        for (name, histogram) in state.histograms.sorted(by: { $0.key < $1.key }) {
            lines.append("# TYPE viseme_\(name) histogram")
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

    /// Bytes of this process in memory; 0 where the system does not tell.
    static func residentBytes() -> Int {
        // Linux only: the second number is the resident pages.
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
