import Dispatch

/// A serial executor with a queue of its own, so that a blocking native call never occupies a thread of the shared pool.
final class BlockingExecutor: SerialExecutor {
    private let queue: DispatchQueue

    /// Makes an executor.
    ///
    /// - Parameter label: The name of the queue, for debuggers.
    init(_ label: String) {
        queue = DispatchQueue(label: "viseme.ffmpeg.\(label)")
    }

    /// Runs a job after those that were given before it.
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}
