import Foundation
import Viseme

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The write end of a pipe for an upload; libav* reads the other end. A full pipe makes the upload wait.
actor SpeechPipe {
    private let executor = BlockingExecutor("speech pipe")
    private var descriptor: Int32

    /// The actor's own executor: writing blocks.
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { if descriptor >= 0 { Self.closeDescriptor(descriptor) } }

    /// Makes a pipe.
    ///
    /// - Returns: The read end, which the caller owns, and the write end.
    static func make() throws -> (reading: FileHandle, writing: SpeechPipe) {
        let (reading, writing) = try ends()
        return (FileHandle(fileDescriptor: reading, closeOnDealloc: true), SpeechPipe(writing))
    }

    /// The descriptors of a new pipe. The caller owns both.
    static func ends() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw VisemeError(.internal, "A pipe cannot be created: \(String(cString: strerror(errno)))")
        }
        // Child processes must not hold it open.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    /// Writes everything.
    ///
    /// - Returns: Whether the read end is still open.
    func write(_ data: Data) -> Bool {
        guard descriptor >= 0 else { return false }
        return data.withUnsafeBytes { bytes in
            var done = 0
            while done < bytes.count, let base = bytes.baseAddress {
                let count = Self.writeBytes(descriptor, base + done, bytes.count - done)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                done += count
            }
            return true
        }
    }

    /// Closes the write end.
    func close() {
        if descriptor >= 0 { Self.closeDescriptor(descriptor) }
        descriptor = -1
    }

    // The actor's methods have the names of the system functions.
    private static func writeBytes(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        #if canImport(Glibc)
            Glibc.write(descriptor, bytes, count)
        #else
            Darwin.write(descriptor, bytes, count)
        #endif
    }

    private static func closeDescriptor(_ descriptor: Int32) {
        #if canImport(Glibc)
            _ = Glibc.close(descriptor)
        #else
            _ = Darwin.close(descriptor)
        #endif
    }
}
