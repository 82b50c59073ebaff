import Viseme
import VisemeCoreML

/// Core ML, where this system has it. The only file of the program with a branch for it: `scripts/check-coreml.sh` type-checks
/// it on Linux.
enum CoreMLChoice {
    /// The backend for `--provider coreml`.
    ///
    /// - Parameters:
    ///   - units: The processors that it may use.
    ///   - note: Takes a sentence for the user.
    /// - Throws: `.unavailable` on systems without Core ML or without one of the processors.
    static func backend(units: ComputeUnits, note: (String) -> Void) throws -> any InferenceBackend {
        #if canImport(CoreML)
            note("the Core ML backend is \(CoreMLBackend.maturity)")
            return try CoreMLBackend(units: units)
        #else
            throw VisemeError(
                .unavailable, "Core ML exists on Apple systems only.",
                hint: "Here --provider cpu runs Core ML packages as well: translated, by ONNX Runtime.")
        #endif
    }
}
