/// Whether a live session keeps to a clock, and to which.
public struct LivePace: Sendable {
    let isPaced: Bool
    /// Time since the pace was made.
    let now: @Sendable () -> Duration
    /// Sleeps until such a time.
    let sleep: @Sendable (Duration) async throws -> Void

    /// 25 units a second by the system's clock, idle frames while there is no speech.
    public static var realTime: LivePace { realTime(by: ContinuousClock()) }

    /// 25 units a second by any clock.
    public static func realTime(by clock: some Clock<Duration>) -> LivePace { LivePace(clock, isPaced: true) }

    /// Units as fast as they can be drawn and are asked for, and nothing while there is no speech.
    public static var none: LivePace { LivePace(ContinuousClock(), isPaced: false) }

    private init(_ clock: some Clock<Duration>, isPaced: Bool) {
        self.isPaced = isPaced
        let start = clock.now
        now = { start.duration(to: clock.now) }
        sleep = { try await clock.sleep(until: start.advanced(by: $0), tolerance: .zero) }
    }
}
