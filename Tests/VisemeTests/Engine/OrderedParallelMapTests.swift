import Testing

@testable import Viseme

@Suite("Ordered parallel map")
struct OrderedParallelMapTests {
    /// Counts up to a limit, on the caller's side.
    private final class Counter {
        var next = 0
        let limit: Int
        init(_ limit: Int) { self.limit = limit }

        func callAsFunction() -> Int? {
            guard next < limit else { return nil }
            defer { next += 1 }
            return next
        }
    }

    @Test("Results come in the source's order, however long each takes", arguments: [1, 2, 3, 8, 64])
    func order(depth: Int) async throws {
        let source = Counter(100)
        let map = OrderedParallelMap(depth: depth) {
            source()
        } transform: { (k: Int) in
            try await Task.sleep(for: .microseconds((k * 7919) % 13 * 100))
            return k * k
        }
        var results: [Int] = []
        while let result = try await map.next() { results.append(result) }
        #expect(results == (0..<100).map { $0 * $0 })
        #expect(try await map.next() == nil)
    }

    @Test("Never more than the depth is taken from the source before a result was asked for", arguments: [1, 2, 5])
    func bounded(depth: Int) async throws {
        let source = Counter(50)
        let gauge = Gauge()
        let map = OrderedParallelMap(depth: depth) {
            source()
        } transform: { (k: Int) in
            gauge.enter()
            defer { gauge.leave() }
            try await Task.sleep(for: .milliseconds(1))
            return k
        }
        #expect(source.next == 0, "nothing is read before it is asked for")
        var given = 0
        while try await map.next() != nil {
            given += 1
            #expect(source.next - given < depth)
        }
        #expect(given == 50)
        #expect(gauge.most <= depth)
        #expect(depth == 1 || gauge.most > 1, "nothing ran at the same time")
    }

    @Test("An empty source gives nothing")
    func empty() async throws {
        let map = OrderedParallelMap(depth: 4) {
            nil
        } transform: { (k: Int) in
            k
        }
        #expect(try await map.next() == nil)
    }

    @Test("An error of the transform comes in its turn, cancels what runs and ends the results")
    func transformError() async throws {
        let source = Counter(1000)
        let gauge = Gauge()
        let map = OrderedParallelMap(depth: 4) {
            source()
        } transform: { (k: Int) in
            gauge.enter()
            defer { gauge.leave() }
            if k == 10 { throw VisemeError(.badData, "ten") }
            if k > 10 { try await Task.sleep(for: .seconds(60)) }
            return k
        }
        for k in 0..<10 { #expect(try await map.next() == k) }
        let error = await #expect(throws: VisemeError.self) { try await map.next() }
        #expect(error?.message == "ten")
        #expect(try await map.next() == nil)
        try await untilIdle(gauge)
        #expect(source.next <= 14)
    }

    @Test("An error of the source cancels what runs and ends the results")
    func sourceError() async throws {
        let source = Counter(1000)
        let gauge = Gauge()
        let map = OrderedParallelMap(depth: 4) {
            if source.next == 6 { throw VisemeError(.badData, "six") }
            return source()
        } transform: { (k: Int) in
            gauge.enter()
            defer { gauge.leave() }
            if k > 2 { try await Task.sleep(for: .seconds(60)) }
            return k
        }
        var results: [Int] = []
        await #expect(throws: VisemeError.self) {
            while let result = try await map.next() { results.append(result) }
        }
        #expect(results == Array(0..<results.count))
        #expect(try await map.next() == nil)
        try await untilIdle(gauge)
    }

    @Test("Cancelling the caller cancels what runs")
    func cancellation() async throws {
        let gauge = Gauge()
        let task = Task {
            let source = Counter(1000)
            let map = OrderedParallelMap(depth: 3) {
                source()
            } transform: { (k: Int) in
                gauge.enter()
                defer { gauge.leave() }
                try await Task.sleep(for: .seconds(60))
                return k
            }
            while try await map.next() != nil {}
        }
        while gauge.now < 3 { try await Task.sleep(for: .milliseconds(1)) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        try await untilIdle(gauge)
    }

    @Test("Letting go of the map cancels what runs")
    func abandoned() async throws {
        let gauge = Gauge()
        do {
            let source = Counter(1000)
            let map = OrderedParallelMap(depth: 4) {
                source()
            } transform: { (k: Int) in
                gauge.enter()
                defer { gauge.leave() }
                if k > 0 { try await Task.sleep(for: .seconds(60)) }
                return k
            }
            #expect(try await map.next() == 0)
        }
        try await untilIdle(gauge)
        #expect(gauge.total <= 4)
    }
}

/// Waits until nothing runs, ten seconds at most.
func untilIdle(_ gauge: Gauge) async throws {
    for _ in 0..<10_000 where gauge.now > 0 { try await Task.sleep(for: .milliseconds(1)) }
    #expect(gauge.now == 0, "something still runs")
}
