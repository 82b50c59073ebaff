import Testing

@testable import VisemeStreaming

@Suite("Readers' queues") struct ReaderTests {
    @Test("A queue that is full ends with what it holds, and tells whose it is to disconnect")
    func slowViewer() async throws {
        let reader = Reader<Int>(limit: 3) {}
        #expect((0..<3).allSatisfy { reader.send($0) })
        #expect(!reader.send(3) && !reader.send(4))
        var seen: [Int] = []
        for await number in reader.elements { seen.append(number) }
        #expect(seen == [0, 1, 2])

        let (closed, close) = AsyncStream<Void>.makeStream()
        let other = Reader<Int>(limit: 1) { close.finish() }
        #expect(other.send(1) && !other.send(2))
        for await _ in closed {}
    }
}
