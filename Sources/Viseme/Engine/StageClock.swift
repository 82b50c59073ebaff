/// Measures consecutive stages.
struct StageClock {
    private(set) var durations: [Stage: Duration] = [:]
    private var last = ContinuousClock.now

    mutating func end(_ stage: Stage) {
        let now = ContinuousClock.now
        durations[stage] = now - last
        last = now
    }
}
