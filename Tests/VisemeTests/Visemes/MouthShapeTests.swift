import Foundation
import Testing
@testable import Viseme

@Suite("Mouth shapes as visemes, blend shapes and letters")
struct MouthShapeTests {
    /// A shape with one certain phone.
    private func saying(_ phone: Phone, _ change: (inout MouthShape) -> Void = { _ in }) -> MouthShape {
        var shape = MouthShape(phones: Phone.allCases.map { $0 == phone ? 1 : 0 })
        change(&shape)
        return shape
    }

    @Test("An articulator's values come in the documented order, and any other count is refused")
    func values() throws {
        let shape = try MouthShape(values: (0..<MouthShape.valueCount).map { Float($0) / 100 })
        #expect(shape.jaw == 0 && shape.width == 0.01 && shape.rounding == 0.02 && shape.closure == 0.03)
        #expect(shape.tuck == 0.04 && shape.teeth == 0.05 && shape.tongue == 0.06)
        #expect(shape[.sil] == 0.07 && shape[.p] == 0.08 && shape[.oe] == 0.41)
        for wrong in [[], [Float](repeating: 0, count: 41), [Float](repeating: 0, count: 43)] {
            #expect(throws: VisemeError.self) { _ = try MouthShape(values: wrong) }
        }
        #expect(throws: VisemeError.self) {
            _ = try MouthShape(values: [Float](repeating: .nan, count: MouthShape.valueCount))
        }
    }

    @Test("The weights of the Oculus visemes add up to one", arguments: Phone.allCases)
    func oculus(phone: Phone) {
        let weights = OculusViseme.weights(of: saying(phone))
        #expect(weights.count == 15 && abs(weights.reduce(0, +) - 1) < 1e-5)
        #expect(OculusViseme(of: saying(phone)) == OculusViseme(phone))
    }

    @Test("Lips that touch are PP whatever the phones say, but not in silence")
    func closure() {
        let n = saying(.n) { $0.closure = 0.9 }
        #expect(OculusViseme(of: n) == .pp)
        #expect(abs(OculusViseme.weights(of: n).reduce(0, +) - 1) < 1e-5)
        #expect(OculusViseme(of: saying(.sil) { $0.closure = 0.9 }) == .sil)
        #expect(OculusViseme(of: saying(.s) { $0.tuck = 0.8 }) == .ff)
    }

    @Test("Blend shapes are ARKit's 52; only those of mouth, jaw and tongue move, within 0…1")
    func blendShapes() {
        #expect(BlendShapes.names.count == 52 && Set(BlendShapes.names).count == 52)
        let wild = saying(.th) {
            ($0.jaw, $0.width, $0.rounding, $0.closure, $0.tuck, $0.teeth, $0.tongue) = (1, 1, 1, 1, 1, 1, 1)
        }
        for shape in [wild, .rest, saying(.aa) { ($0.jaw, $0.width) = (1, -1) }] {
            let all = BlendShapes.all(of: shape)
            #expect(all.count == 52 && all.allSatisfy { (0...1).contains($0) })
            for (name, weight) in zip(BlendShapes.names, all) where weight > 0 {
                #expect(name.hasPrefix("mouth") || name.hasPrefix("jaw") || name == "tongueOut")
            }
        }
        #expect(BlendShapes.all(of: .rest).allSatisfy { $0 == 0 })
        let known = Set(BlendShapes.names)
        #expect(BlendShapes.weights(of: wild).allSatisfy { known.contains($0.name) })
    }

    @Test("Letters follow Rhubarb's chart")
    func letters() {
        let cases: [(MouthShape, MouthLetter)] = [
            (.rest, .x), (saying(.m) { ($0.jaw, $0.closure) = (0.1, 1) }, .a),
            (saying(.s) { ($0.jaw, $0.teeth) = (0.1, 1) }, .b),
            (saying(.eh) { ($0.jaw, $0.width) = (0.45, 0.4) }, .c), (saying(.aa) { $0.jaw = 0.9 }, .d),
            (saying(.ao) { ($0.jaw, $0.rounding) = (0.7, 0.6) }, .e),
            (saying(.uw) { ($0.jaw, $0.rounding) = (0.2, 1) }, .f),
            (saying(.f) { ($0.jaw, $0.tuck) = (0.14, 1) }, .g), (saying(.l) { ($0.jaw, $0.tongue) = (0.34, 1) }, .h),
        ]
        for (shape, letter) in cases { #expect(MouthLetter(of: shape) == letter) }
    }
}
