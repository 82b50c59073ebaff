import Viseme

/// The clients that read one kind of a session's output, each with a queue of its own.
struct Readers<Element: Sendable>: Sendable {
    private var readers: [Int: Reader<Element>] = [:]
    private var numbers = 0

    /// The number of clients.
    var count: Int { readers.count }

    /// Adds a client.
    ///
    /// - Parameters:
    ///   - limit: The most queued elements.
    ///   - disconnect: Closes the connection of a client that falls behind.
    /// - Returns: The number to remove it by, and its queue.
    mutating func add(
        limit: Int, disconnect: @escaping @Sendable () -> Void
    ) -> (number: Int, reader: Reader<Element>) {
        numbers += 1
        let reader = Reader<Element>(limit: limit, disconnect: disconnect)
        readers[numbers] = reader
        return (numbers, reader)
    }

    /// Removes a client.
    mutating func remove(_ number: Int) { readers[number] = nil }

    /// Sends an element to the clients whose number is wanted, all by default.
    ///
    /// - Returns: The number of clients that fell behind and were removed.
    @discardableResult
    mutating func send(_ element: Element, to isWanted: (Int) -> Bool = { _ in true }) -> Int {
        var lost = 0
        for (number, reader) in readers where isWanted(number) && !reader.send(element) {
            readers[number] = nil
            lost += 1
        }
        return lost
    }

    /// Ends all queues.
    mutating func finish() {
        for reader in readers.values { reader.finish() }
        readers = [:]
    }
}
