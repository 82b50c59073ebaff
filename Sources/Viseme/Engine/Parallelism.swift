public import Foundation

/// How the cores are shared: the one place that decides. Threads × width never exceeds the cores.
public struct Parallelism: Sendable, Equatable {
    /// Frames generated at the same time.
    public let width: Int
    /// Threads of one inference.
    public let threads: Int

    /// Shares `cores` cores: one frame a core, since two one-thread inferences beat one two-thread inference.
    ///
    /// - Parameter cores: At least 1; all of the machine's by default.
    public init(cores: Int = ProcessInfo.processInfo.activeProcessorCount) {
        width = max(1, cores)
        threads = 1
    }

    /// Frames under way at once: every lane has one in work and one waiting, so that decoding overlaps generation.
    var depth: Int { 2 * width }
}
