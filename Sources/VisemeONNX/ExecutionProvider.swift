/// What of ONNX Runtime runs the nodes.
///
/// The one that is asked for runs all of them, or loading is an error: ONNX Runtime's own way, to give to the CPU what a provider
/// does not take, is switched off.
public enum ExecutionProvider: String, Sendable, CaseIterable, Codable {
    /// ONNX Runtime's own kernels, on every processor.
    case cpu
    /// OpenVINO on the processor: `make setup PROVIDER=openvino` fetches a library that has it, for x86-64 Linux.
    case openvino
    /// NVIDIA's CUDA, by a GPU build of ONNX Runtime that the user names. Written, never run by us.
    case cuda

    /// What ONNX Runtime calls it.
    public var nativeName: String {
        switch self {
        case .cpu: "CPUExecutionProvider"
        case .openvino: "OpenVINOExecutionProvider"
        case .cuda: "CUDAExecutionProvider"
        }
    }

    /// What reports call it.
    var reportName: String {
        switch self {
        case .cpu: "CPU"
        case .openvino: "OpenVINO"
        case .cuda: "CUDA"
        }
    }

    /// The folder below `.deps` where `make setup` puts a library that has it.
    var folder: String { self == .openvino ? "openvino" : "onnxruntime" }

    /// How to get a library that has it.
    var hint: String {
        switch self {
        case .cpu: "Run: make setup, or name the library with --onnxruntime PATH or VISEME_ONNXRUNTIME."
        case .openvino: "Run: make setup PROVIDER=openvino, or name a library that has it with --onnxruntime PATH."
        case .cuda: "Name a GPU build of ONNX Runtime with --onnxruntime PATH; CUDA and cuDNN must be installed."
        }
    }
}
