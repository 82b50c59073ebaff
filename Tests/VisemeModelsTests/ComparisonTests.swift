import Foundation
import Testing
import Viseme
import VisemeTestSupport
@testable import VisemeModels

@Suite("Comparison")
struct ComparisonTests {
    static let tolerance = ModelComparison.Tolerance(absolute: 1e-4, relative: 1e-3)

    @Test(
        "The same network in two formats is equal", .enabled(if: Repository.canRunModels),
        arguments: ["narrow.onnx", "narrow-torch.onnx", "narrow-fp32.mlpackage"])
    func equal(_ file: String) async throws {
        let comparison = try await ModelComparison(
            Narrow.open("narrow.pth"), Narrow.open(file), runner: Narrow.runner(), tolerance: Self.tolerance,
            everyLayer: true)
        #expect(comparison.isEqual)
        #expect(comparison.firstDifferingLayer == nil)
        #expect(comparison.layers.count > 150)
        #expect(comparison.weightsAreIdentical == (file != "narrow-torch.onnx"), "torch folds in another order")
    }

    @Test("The first layer that differs is named", .enabled(if: Repository.canRunModels))
    func firstDifference() async throws {
        let changed = "down3.maxpool_conv.0.double_conv.1.conv.0.weight"
        let original = try #require(try Narrow.open("narrow.pth").state?[changed])
        let state = try Narrow.state([
            changed: StoredTensor(name: changed, shape: original.shape, floats: original.floats().map { $0 * 1.5 })
        ])
        let family = try #require(try ModelFamily(of: state))
        try await withTemporaryFolder { folder in
            let url = folder.appending(path: "changed.onnx")
            try ONNXWriter.data(try family.graph(state).folded()).write(to: url)
            let comparison = try await ModelComparison(
                Narrow.open("narrow.pth"), OpenedModel(at: url), runner: Narrow.runner(),
                tolerance: .init(absolute: 1e-6, relative: 1e-4))
            #expect(!comparison.isEqual)
            #expect(comparison.weights.map(\.name) == [changed])
            #expect(comparison.firstDifferingLayer == "down3.maxpool_conv.0.double_conv.1.conv.0")
        }
    }

    @Test("Unrelated numbers have no scale")
    func unrelated() {
        let a = randomFloats(4000, in: -1...1, seed: 1)
        let b = randomFloats(4000, in: -100...100, seed: 2)
        let difference = TensorDifference("rows", a, b)
        #expect(difference.remark?.contains("not a scale") == true)
        #expect(abs((difference.scaleRatio ?? 0) - 100) < 5)
        #expect(TensorDifference("rows", a, a.map { $0 * 100 }).remark == nil)
    }

    @Test(
        "Differences are measured",
        arguments: [([Float](arrayLiteral: 1, 2, 3), [Float](arrayLiteral: 1, 2.5, 3), 0.5, 1)])
    func measures(_ a: [Float], _ b: [Float], _ maximum: Double, _ index: Int) {
        let difference = TensorDifference("x", a, b)
        #expect(difference.maximum == maximum)
        #expect(difference.worstIndex == index)
        #expect(difference.worstValues == [2, 2.5])
        #expect(abs(difference.mean - maximum / 3) < 1e-12)
        #expect(difference.isWithin(absolute: 0.5, relative: 0) && !difference.isWithin(absolute: 0.1, relative: 0.1))
        #expect(TensorDifference("x", a, [1, .nan, 3]).maximum == .infinity)
        #expect(TensorDifference("x", [1, .nan], [1, .nan]).maximum == 0)
    }
}
