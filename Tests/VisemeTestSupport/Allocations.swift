import CAllocationCount

/// How often code asks for memory. The numbers depend on the code and the compiler, never on the machine or its load.
public enum Allocations {
    /// Whether they are counted here.
    public static var areCounted: Bool { viseme_allocation_count() >= 0 }

    /// Allocations of one call on this thread, the mean over some calls after a first one.
    public static func each(of calls: Int, _ body: () throws -> Void) rethrows -> Int {
        try body()
        let before = viseme_allocation_count()
        for _ in 0..<calls { try body() }
        return (viseme_allocation_count() - before + calls - 1) / calls
    }
}
