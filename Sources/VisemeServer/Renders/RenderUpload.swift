import Crypto
import Foundation
import NIOCore
import Viseme

/// A request's body on its way to the disk; hashed on the way.
actor RenderUpload {
    private let executor = BlockingExecutor("upload")
    private let handle: FileHandle
    private let reserve: @Sendable (Int) async throws -> Void
    private var hash = SHA256()

    /// The actor's own queue.
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Creates the file.
    ///
    /// - Parameter reserve: Called with the number of bytes before they are written; throws where there is no room for them.
    init(to url: URL, reserve: @escaping @Sendable (Int) async throws -> Void = { _ in }) throws {
        try Data().write(to: url, options: .withoutOverwriting)
        handle = try FileHandle(forWritingTo: url)
        self.reserve = reserve
    }

    /// Adds a piece.
    func append(_ piece: ByteBuffer) async throws { try await append(Data(piece.readableBytesView)) }

    /// Adds everything that a program writes, until it ends.
    func append(contentsOf output: FileHandle) async throws {
        while let data = try output.read(upToCount: 1 << 16), !data.isEmpty { try await append(data) }
    }

    private func append(_ data: Data) async throws {
        try await reserve(data.count)
        do {
            try handle.write(contentsOf: data)
        } catch {
            throw VisemeError(
                .cannotCreate, "The upload cannot be written", hint: "The disk may be full.", cause: error)
        }
        hash.update(data: data)
    }

    /// Closes the file.
    ///
    /// - Returns: SHA-256 of everything, in hexadecimal.
    func finish() throws -> String {
        try handle.close()
        return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
