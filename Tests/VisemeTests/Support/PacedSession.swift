import Foundation
import VisemeTestSupport

@testable import Viseme

/// A session on a clock that goes on when its next unit is asked for.
struct PacedSession {
    let session: LiveSession
    let clock = ManualClock()
    let engine: Engine

    init(_ engine: Engine, patience: Duration = .milliseconds(400), buffer: Duration = .seconds(10)) async throws {
        self.engine = engine
        var settings = LiveSession.Settings()
        settings.pace = .realTime(by: clock)
        settings.patience = patience
        settings.buffer = buffer
        session = try await LiveSession(engine, settings: settings)
    }

    /// The next unit, on a machine that is always fast enough.
    func next() async throws -> LiveUnit {
        try await settle()
        clock.advance(by: .milliseconds(40))
        guard let unit = try await session.next() else { throw VisemeError(.internal, "the session is over") }
        return unit
    }

    func next(_ count: Int) async throws -> [LiveUnit] {
        var units: [LiveUnit] = []
        for _ in 0..<count { units.append(try await next()) }
        return units
    }

    /// Waits until everything was drawn and encoded that can be.
    func settle() async throws {
        while await !session.isQuiet { try await Task.sleep(for: .microseconds(200)) }
    }
}

extension LiveSession {
    /// The rest of the units.
    func collect() async throws -> [LiveUnit] {
        var result: [LiveUnit] = []
        for try await unit in units { result.append(unit) }
        return result
    }
}

/// The grey level of an image's upper left pixel: outside of every square.
func corner(_ image: Image) -> Int { Int(image.bytes[0]) }

/// The mean level inside a square.
func level(_ frame: Frame) throws -> Double {
    let bytes = try frame.image.bytes(in: frame.square)
    return Double(bytes.reduce(0) { $0 + Int($1) }) / Double(bytes.count)
}
