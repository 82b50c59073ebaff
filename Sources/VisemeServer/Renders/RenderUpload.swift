import Crypto
import Foundation
import NIOCore
import Viseme

/// Writes a request's body to a file and hashes it.
actor RenderUpload {
    private let executor = BlockingExecutor("upload")
    private let handle: FileHandle
    private let reserve: @Sendable (Int) async throws -> Void
    private var hash = SHA256()

    /// The actor's own executor.
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Creates the file.
    ///
    /// - Parameter reserve: Called with a number of bytes before they are written; throws when there is no space.
    init(to url: URL, reserve: @escaping @Sendable (Int) async throws -> Void = { _ in }) throws {
        try Data().write(to: url, options: .withoutOverwriting)
        handle = try FileHandle(forWritingTo: url)
        self.reserve = reserve
    }

    /// Appends bytes.
    func append(_ piece: ByteBuffer) async throws { try await append(Data(piece.readableBytesView)) }

    /// Appends a program's output until its end.
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
    /// - Returns: SHA-256 of the file, in hexadecimal.
    func finish() throws -> String {
        try handle.close()
        return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
