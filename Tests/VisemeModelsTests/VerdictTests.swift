import Testing
import Viseme
@testable import VisemeModels

@Suite("Was it ever trained?")
struct VerdictTests {
    @Test("A fresh network is found, raw, folded and in half precision")
    func fresh() throws {
        let graph = try Narrow.open("narrow-fresh.pth").network().graph
        #expect(TrainingVerdict(graph).kind == .neverTrained)
        #expect(TrainingVerdict(graph.folded()).kind == .neverTrained)
        #expect(TrainingVerdict(try graph.folded().withWeights(as: .float16)).kind == .neverTrained)
    }

    @Test(
        "A trained network is not accused",
        arguments: ["narrow.pth", "narrow.onnx", "narrow-torch.onnx", "narrow-fp32.mlpackage", "narrow-fp16.mlpackage"])
    func trained(_ file: String) throws {
        let verdict = try Narrow.open(file).verdict
        #expect(verdict.kind == .trained || verdict.kind == .initialShape, "\(verdict.evidence)")
    }

    @Test("One layer at its first values is named")
    func partly() throws {
        let verdict = try Narrow.open("narrow-partly.pth").verdict
        #expect(verdict.kind == .partly)
        #expect(verdict.untouchedLayers == [try Narrow.description().reinitialised])
    }

    @Test("Nothing to judge is unknown")
    func unknown() {
        #expect(TrainingVerdict(layers: []).kind == .unknown)
    }
}
