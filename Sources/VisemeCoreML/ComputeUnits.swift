/// The processors that Core ML may use for a model.
///
/// An allowance, as Core ML has it: within the set, Core ML places each operation itself (one that the Neural Engine cannot
/// run goes to the CPU). It never leaves the set, and a set whose processor this machine lacks is refused at load.
public enum ComputeUnits: String, Sendable, CaseIterable, Codable {
    /// The CPU alone: exact to the precision of the package, and there on every machine. What parity tests use.
    case cpuOnly = "cpu"
    /// The CPU and the GPU.
    case cpuAndGPU = "cpu-gpu"
    /// The CPU and the Neural Engine: leaves the GPU to the app. Operations in Float16 run on the Neural Engine.
    case cpuAndNeuralEngine = "cpu-ane"
    /// All there are; nothing is demanded.
    case all

    /// The set as reports print it: "CPU + Neural Engine".
    public var title: String {
        switch self {
        case .cpuOnly: "CPU"
        case .cpuAndGPU: "CPU + GPU"
        case .cpuAndNeuralEngine: "CPU + Neural Engine"
        case .all: "CPU + GPU + Neural Engine"
        }
    }
}
