/// A value that is made at the first request, and shared by all.
actor Once<Value: Sendable> {
    private let make: @Sendable () async throws -> Value
    private var making: Task<Value, any Error>?

    /// - Parameter make: Makes the value. After a failure the next request tries again.
    init(_ make: @escaping @Sendable () async throws -> Value) { self.make = make }

    /// The value.
    func value() async throws -> Value {
        let task = making ?? Task { [make] in try await make() }
        making = task
        do {
            return try await task.value
        } catch {
            if making == task { making = nil }
            throw error
        }
    }
}
