#if canImport(CoreML)
    import CoreML
    import Viseme

    extension ComputeUnits {
        /// Core ML's own word.
        var coreML: MLComputeUnits {
            switch self {
            case .cpuOnly: .cpuOnly
            case .cpuAndGPU: .cpuAndGPU
            case .cpuAndNeuralEngine: .cpuAndNeuralEngine
            case .all: .all
            }
        }

        /// Checks that the machine has what the set names: Core ML itself would quietly do without.
        ///
        /// - Throws: `.unavailable`.
        func requireDevices() throws {
            let devices = MLComputeDevice.allComputeDevices
            let isThere =
                switch self {
                case .cpuOnly, .all: true
                case .cpuAndGPU: devices.contains { if case .gpu = $0 { true } else { false } }
                case .cpuAndNeuralEngine: devices.contains { if case .neuralEngine = $0 { true } else { false } }
                }
            guard isThere else {
                throw VisemeError(
                    .unavailable,
                    "Core ML was asked for \(title) (\(rawValue)), this machine has "
                        + "\(devices.map(\.description).joined(separator: ", ")).",
                    hint: "Choose --compute-units \(Self.cpuOnly.rawValue), or another machine. Simulators and virtual "
                        + "machines have no Neural Engine.")
            }
        }
    }

    extension TensorElement {
        /// The element type of a multi-array; nil for one that this backend does not read.
        init?(_ type: MLMultiArrayDataType) {
            switch type {
            case .float32: self = .float32
            case .float16: self = .float16
            default: return nil
            }
        }

        /// Core ML's own word.
        var coreML: MLMultiArrayDataType {
            switch self {
            case .float32: .float32
            case .float16: .float16
            }
        }
    }
#endif
