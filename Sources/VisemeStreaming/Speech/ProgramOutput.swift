import Foundation
import Synchronization
import Viseme

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Copies a program's output into a second pipe.
///
/// A pipe ends when no process holds its write end. A child of the program may hold it after the program ended; the copy ends with
/// the program.
actor ProgramOutput {
    private let executor = BlockingExecutor("program output")
    private let source: Int32
    private let copy: SpeechPipe
    private nonisolated let isProgramEnded = Mutex(false)

    /// The actor's own executor: reading blocks.
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private init(_ source: Int32, _ copy: SpeechPipe) { (self.source, self.copy) = (source, copy) }

    deinit { close(source) }

    /// Makes both pipes.
    ///
    /// - Returns: The copy's read end, the copier, and the write end for the program. The caller owns both ends.
    static func make() throws -> (reading: FileHandle, output: ProgramOutput, writing: Int32) {
        let program = try SpeechPipe.ends()
        do {
            let (reading, copy) = try SpeechPipe.make()
            return (reading, ProgramOutput(program.reading, copy), program.writing)
        } catch {
            close(program.reading)
            close(program.writing)
            throw error
        }
    }

    /// Marks the program as ended: the remaining output is copied, then the copy ends.
    nonisolated func programEnded() { isProgramEnded.withLock { $0 = true } }

    /// Copies until the output or the program ends, or the copy's read end is closed.
    func run() async {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        var left: Int?
        while left != 0 {
            if left == nil, isProgramEnded.withLock({ $0 }) {
                // A child that still runs may continue to write.
                var waiting: Int32 = 0
                left = ioctl(source, UInt(FIONREAD), &waiting) == 0 ? Int(waiting) : 0
                continue
            }
            var wait = pollfd(fd: source, events: Int16(POLLIN), revents: 0)
            guard left != nil || poll(&wait, 1, 20) != 0 else { continue }
            let count = read(source, &buffer, min(buffer.count, left ?? .max))
            if count < 0, errno == EINTR { continue }
            guard count > 0, await copy.write(Data(buffer[..<count])) else { break }
            left = left.map { $0 - count }
        }
        await copy.close()
    }
}
