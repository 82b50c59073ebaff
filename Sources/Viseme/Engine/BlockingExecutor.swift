import Dispatch

/// A queue of its own for an actor that makes blocking native calls, so that they never starve the shared pool.
public final class BlockingExecutor: SerialExecutor {
    private let queue: DispatchQueue

    /// Makes a serial queue.
    ///
    /// - Parameter label: The queue's name in a debugger.
    public init(_ label: String) {
        queue = DispatchQueue(label: "viseme.\(label)")
    }

    /// Runs a job on the queue. The runtime calls this.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let executor = asUnownedSerialExecutor()
        queue.async { job.runSynchronously(on: executor) }
    }
}
