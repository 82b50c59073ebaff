/// The fifteen visemes of Oculus LipSync, which most avatars for games and the web have as blend shapes (`viseme_PP` …).
public enum OculusViseme: String, Sendable, Codable, CaseIterable {
    /// The raw values are the blend shapes' names. `e`, `i`, `o` and `u` are vowels, like `aa`.
    case sil
    case pp = "PP"
    case ff = "FF"
    case th = "TH"
    case dd = "DD"
    case kk
    case ch = "CH"
    case ss = "SS"
    case nn
    case rr = "RR"
    case aa
    case e = "E"
    case i = "I"
    case o = "O"
    case u = "U"

    /// The viseme of a phone.
    public init(_ phone: Phone) {
        self =
            switch phone {
            case .sil: .sil
            case .p, .b, .m: .pp
            case .f, .v: .ff
            case .th: .th
            case .t, .d: .dd
            case .k, .ng, .h: .kk
            case .sh: .ch
            case .s: .ss
            case .n, .l: .nn
            case .r, .rr, .er: .rr
            case .ae, .ah, .ax, .aa: .aa
            case .ey, .eh: .e
            case .iy, .ih, .y: .i
            case .ao, .oo, .oe: .o
            case .uh, .uw, .ue, .w: .u
            }
    }

    /// Of each phone in the order of `Phone.allCases`, which viseme.
    private static let indices = Phone.allCases.map { allCases.firstIndex(of: OculusViseme($0)).unsafelyUnwrapped }

    /// How much of each viseme a shape has, in the order of `allCases`; the sum is 1.
    ///
    /// What the phones say, but lips that press on one another are PP and a lip under the teeth is FF at least as much as the
    /// picture would show.
    public static func weights(of shape: MouthShape) -> [Float] {
        var weights = [Float](repeating: 0, count: allCases.count)
        for (index, probability) in zip(indices, shape.phones) { weights[index] += probability }
        let speech = 1 - weights[0]
        for (viseme, seen) in [(OculusViseme.pp, shape.closure), (.ff, shape.tuck)] {
            let index = allCases.firstIndex(of: viseme).unsafelyUnwrapped
            let wanted = seen * speech
            guard wanted > weights[index] else { continue }
            let left = 1 - weights[index]
            let rest = left > 0 ? (1 - wanted) / left : 0
            for i in weights.indices { weights[i] *= rest }
            weights[index] = wanted
        }
        return weights
    }

    /// The viseme of which a shape has most.
    public init(of shape: MouthShape) { self.init(most: Self.weights(of: shape)) }

    /// The viseme with the largest of these weights.
    init(most weights: [Float]) {
        self = zip(weights, Self.allCases).max { $0.0 < $1.0 }?.1 ?? .sil
    }
}
