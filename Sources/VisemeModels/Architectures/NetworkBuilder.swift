import Viseme

/// Writes a network down layer by layer: the weights come from a ledger, the operations go into a list.
struct NetworkBuilder {
    var ledger: TensorLedger
    private(set) var nodes: [ModelGraph.Node] = []

    init(_ state: StateDict) { ledger = TensorLedger(state) }

    /// Builds the architecture itself: every weight is there, and zero.
    init(outline: Void) { ledger = TensorLedger(outline: ()) }

    /// Adds a node and gives the name of what it makes.
    mutating func add(_ operation: Operation, _ name: String, _ inputs: [String]) -> String {
        nodes.append(.init(operation, name: name, inputs: inputs, output: name + "/out"))
        return name + "/out"
    }

    mutating func convolution(
        _ name: String, _ x: String, from cin: Int, to cout: Int, kernel: Int, _ convolution: Convolution, hasBias: Bool
    ) -> String {
        ledger.take(name + ".weight", [cout, cin / convolution.groups, kernel, kernel])
        if hasBias { ledger.take(name + ".bias", [cout]) }
        return add(.convolution(convolution), name, [x, name + ".weight"] + (hasBias ? [name + ".bias"] : []))
    }

    mutating func batchNormalisation(_ name: String, _ x: String, channels: Int) -> String {
        let parts = ["weight", "bias", "running_mean", "running_var"].map { "\(name).\($0)" }
        for part in parts { ledger.take(part, [channels]) }
        ledger.takeCounter(name + ".num_batches_tracked")
        return add(.batchNormalisation(epsilon: 1e-5), name, [x] + parts)
    }

    mutating func relu(_ name: String, _ x: String) -> String { add(.relu, name + ".relu", [x]) }

    /// IR(cin, cout, stride, residual): 1×1 to twice the channels, 3×3 depthwise, 1×1; no activation at the end.
    mutating func invertedResidual(
        _ name: String, _ x: String, _ cin: Int, _ cout: Int, stride: Int = 1, residual: Bool
    ) -> String {
        let wide = 2 * cin
        var y = convolution("\(name).conv.0", x, from: cin, to: wide, kernel: 1, Convolution(), hasBias: false)
        y = relu("\(name).conv.1", batchNormalisation("\(name).conv.1", y, channels: wide))
        let depthwise = Convolution(strides: [stride, stride], padding: [1, 1, 1, 1], groups: wide)
        y = convolution("\(name).conv.3", y, from: wide, to: wide, kernel: 3, depthwise, hasBias: false)
        y = relu("\(name).conv.4", batchNormalisation("\(name).conv.4", y, channels: wide))
        y = convolution("\(name).conv.6", y, from: wide, to: cout, kernel: 1, Convolution(), hasBias: false)
        y = batchNormalisation("\(name).conv.7", y, channels: cout)
        return residual ? add(.add, name + ".add", [x, y]) : y
    }

    /// DC(cin, cout, stride): two inverted residuals, the second with its shortcut.
    mutating func doubleConvolution(_ name: String, _ x: String, _ cin: Int, _ cout: Int, stride: Int = 1) -> String {
        let y = invertedResidual("\(name).double_conv.0", x, cin, cout, stride: stride, residual: false)
        return invertedResidual("\(name).double_conv.1", y, cout, cout, residual: true)
    }
}
