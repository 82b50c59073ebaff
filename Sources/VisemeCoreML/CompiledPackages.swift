#if canImport(CoreML)
    import CoreML
    import Foundation
    import Viseme

    /// A compiled model on disk; removed with its last user if it was compiled by us.
    final class CompiledPackage: Sendable {
        /// The `.mlmodelc` folder.
        let url: URL
        private let isOurs: Bool

        init(_ url: URL, isOurs: Bool) {
            self.url = url
            self.isOurs = isOurs
        }

        deinit {
            // A failure leaves a folder in the temporary folder, which the system clears.
            if isOurs { try? FileManager.default.removeItem(at: url) }
        }
    }

    /// Compiles packages for this device, each once: the engine opens one session a core on the same generator.
    ///
    /// Compiled models stay in the temporary folder for as long as they are used. They are not kept from run to run: what
    /// the manifest's hash vouches for is the package, not a compiled copy in a cache.
    actor CompiledPackages {
        private let executor = BlockingExecutor("coreml.compile")
        private var known: [String: CompiledPackage] = [:]

        nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

        /// The compiled form of a model, after its digest was found to be the manifest's.
        ///
        /// - Throws: `.noInput` when it is absent, `.badData` when the digest differs or Core ML cannot compile it,
        ///   `.unsupported` when it is no Core ML model.
        func compiled(_ model: ModelFile) async throws -> CompiledPackage {
            let key = "\(model.description.sha256) \(model.url.standardizedFileURL.path)"
            if let package = known[key] { return package }
            let isCompiled: Bool
            switch model.url.pathExtension.lowercased() {
            case "mlmodelc": isCompiled = true
            case "mlpackage": isCompiled = false
            case let other:
                throw VisemeError(
                    .unsupported,
                    "'\(model.description.file)' is no Core ML model: expected .mlpackage or .mlmodelc, found '.\(other)'.",
                    hint: "Convert it: viseme convert \(model.description.file) OUT.mlpackage, or use --provider cpu.")
            }
            // The one call of the digest: nothing of the folder is used before it.
            try model.verify()
            let package: CompiledPackage
            do {
                package =
                    isCompiled
                    ? CompiledPackage(model.url, isOurs: false)
                    : CompiledPackage(try await MLModel.compileModel(at: model.url), isOurs: true)
            } catch let error as CancellationError {
                throw error
            } catch {
                throw VisemeError(
                    .badData,
                    "Core ML cannot compile '\(model.description.file)' (\(model.description.role.rawValue)).",
                    hint: "Convert the model again, and check it: viseme inspect \(model.description.file)",
                    cause: error)
            }
            // Two callers at once may both have compiled; either copy is right.
            known[key] = package
            return package
        }
    }
#endif
