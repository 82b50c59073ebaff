/// Stage durations in bounded memory: the last 4096 frames of each stage.
struct StageTimings {
    private static let capacity = 4096
    private var samples: [String: [Double]] = [:]
    private var counts: [String: Int] = [:]

    mutating func add(_ durations: [Stage: Duration], write: Duration) {
        for (stage, duration) in durations { add(stage.rawValue, duration) }
        add("write", write)
    }

    mutating func add(_ stage: String, _ duration: Duration) {
        let milliseconds = duration / .milliseconds(1)
        let count = counts[stage, default: 0]
        counts[stage] = count + 1
        if count < Self.capacity {
            samples[stage, default: []].append(milliseconds)
        } else {
            samples[stage, default: []][count % Self.capacity] = milliseconds
        }
    }

    func summary() -> [String: RenderReport.StageSummary] {
        samples.mapValues { values in
            let sorted = values.sorted()
            func percentile(_ p: Double) -> Double { sorted[Int((Double(sorted.count - 1) * p).rounded())] }
            return RenderReport.StageSummary(p50: percentile(0.5), p95: percentile(0.95))
        }
    }
}
