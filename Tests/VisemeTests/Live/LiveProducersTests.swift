import Foundation
import Testing
import VisemeTestSupport

@testable import Viseme

@Suite("Producers of a live session")
struct LiveProducersTests {
    /// Pushes of a second and more, each of one level, into a buffer of half a second.
    private func session(_ engine: Engine) async throws -> LiveSession {
        var settings = LiveSession.Settings()
        settings.pace = .none
        settings.buffer = .milliseconds(500)
        return try await LiveSession(engine, settings: settings)
    }

    @Test("The samples of one call stay together, and the calls keep their order", arguments: 0..<6)
    func together(seed: Int) async throws {
        try await withTemporaryFolder { folder in
            let session = try await session(fakeEngine(in: folder))
            var random = SeededRandom(seed)
            let counts = (0..<5).map { _ in Int.random(in: 10_000...30_000, using: &random) }
            var producers: [Task<Bool, any Error>] = []
            for (number, count) in counts.enumerated() {
                let level = Float(number + 1) / 10
                producers.append(Task { try await session.push([Float](repeating: level, count: count)) })
                // Each call is waiting before the next one is made.
                while await session.pushesBegun <= number { try await Task.sleep(for: .microseconds(100)) }
            }
            let consumer = Task { try await session.collect() }
            for producer in producers { #expect(try await producer.value) }
            await session.end()
            let sound = try await consumer.value.flatMap(\.sound).prefix(counts.reduce(0, +))
            let expected = counts.enumerated().flatMap { [Float](repeating: Float($0 + 1) / 10, count: $1) }
            #expect(Array(sound) == expected)
        }
    }

    @Test("A call that is cancelled, or that an interruption overtook, lets the next one through")
    func leaving() async throws {
        try await withTemporaryFolder { folder in
            let session = try await session(fakeEngine(in: folder))
            func begin(_ number: Int) async throws -> Task<Bool, any Error> {
                let task = Task { try await session.push([Float](repeating: 0.5, count: 32_000)) }
                while await session.pushesBegun < number { try await Task.sleep(for: .microseconds(100)) }
                return task
            }
            let (first, second, third) = (try await begin(1), try await begin(2), try await begin(3))
            second.cancel()
            await #expect(throws: CancellationError.self) { try await second.value }
            await session.interrupt()
            #expect(try await first.value == false)
            #expect(try await third.value == false)
            #expect(try await session.push([Float](repeating: 0.5, count: 640)))
        }
    }
}
