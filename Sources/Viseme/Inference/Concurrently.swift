/// Makes `count` values at the same time; the first error ends it.
package func concurrently<Value: Sendable>(
    _ count: Int, _ make: @escaping @Sendable () async throws -> Value
) async throws -> [Value] {
    try await withThrowingTaskGroup(of: Value.self) { group in
        for _ in 0..<count { group.addTask { try await make() } }
        var values: [Value] = []
        for try await value in group { values.append(value) }
        return values
    }
}
