import Crypto
import Foundation
import Viseme
import VisemeStreaming

/// Writes a request's body to a file and hashes it.
actor RenderUpload {
    private let executor = BlockingExecutor("upload")
    private let file: UploadFile
    private let reserve: @Sendable (Int) async throws -> Void
    private var hash = SHA256()

    /// The actor's own executor: reading a program's output blocks.
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Creates the file.
    ///
    /// - Parameter reserve: Called with a number of bytes before they are written; throws when there is no space.
    init(to url: URL, reserve: @escaping @Sendable (Int) async throws -> Void = { _ in }) throws {
        file = try UploadFile(url)
        self.reserve = reserve
    }

    /// Appends bytes.
    func append(_ data: Data) async throws {
        try await reserve(data.count)
        try await file.append(data)
        hash.update(data: data)
    }

    /// Appends a program's output until its end.
    func append(contentsOf output: FileHandle) async throws {
        while let data = try output.read(upToCount: 1 << 16), !data.isEmpty { try await append(data) }
    }

    /// Closes the file.
    ///
    /// - Returns: SHA-256 of the file, in hexadecimal.
    func finish() async throws -> String {
        try await file.close()
        return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
