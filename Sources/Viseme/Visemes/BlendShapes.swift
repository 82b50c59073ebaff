/// ARKit's 52 blend shapes. Those of mouth and jaw follow the speech, the others are 0: eyes and brows are the character's own.
public enum BlendShapes {
    /// ARKit's names, in the order of Live Link Face.
    public static let names = [
        "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
        "eyeWideLeft",
        "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight",
        "eyeWideRight", "jawForward", "jawRight", "jawLeft", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker",
        "mouthRight", "mouthLeft", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight",
        "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight", "mouthRollLower",
        "mouthRollUpper",
        "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft",
        "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft", "browDownRight", "browInnerUp",
        "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft",
        "noseSneerRight", "tongueOut",
    ]

    /// The weights of a shape that are not 0, by name, each 0…1.
    ///
    /// | blend shape | weight |
    /// |---|---|
    /// | `jawOpen` | 0.7·jaw |
    /// | `mouthClose` | closure·`jawOpen`: lips that touch although the jaw is open |
    /// | `mouthPress` | 0.4·closure |
    /// | `mouthFunnel`, `mouthPucker` | rounding, shared by how far the jaw is open: all pucker at 0, all funnel at ½ |
    /// | `mouthStretch`, `mouthSmile` | 0.4 and 0.25 of a positive width |
    /// | `mouthRollLower` | 0.8·tuck |
    /// | `mouthUpperUp` | 0.2·tuck + 0.15·teeth |
    /// | `mouthLowerDown` | 0.35·teeth·(1 − closure)·(1 − tuck) |
    /// | `tongueOut` | 0.3·P(θ, ð) |
    public static func weights(of shape: MouthShape) -> [(name: String, weight: Float)] {
        let jaw = 0.7 * shape.jaw
        let funnel = min(1, shape.jaw / 0.5)
        let spread = max(0, shape.width)
        let values: [(String, Float)] = [
            ("jawOpen", jaw), ("mouthClose", shape.closure * jaw), ("mouthFunnel", shape.rounding * funnel),
            ("mouthPucker", shape.rounding * (1 - funnel)), ("mouthSmileLeft", 0.25 * spread),
            ("mouthSmileRight", 0.25 * spread), ("mouthStretchLeft", 0.4 * spread), ("mouthStretchRight", 0.4 * spread),
            ("mouthRollLower", 0.8 * shape.tuck), ("mouthPressLeft", 0.4 * shape.closure),
            ("mouthPressRight", 0.4 * shape.closure),
            ("mouthLowerDownLeft", 0.35 * shape.teeth * (1 - shape.closure) * (1 - shape.tuck)),
            ("mouthLowerDownRight", 0.35 * shape.teeth * (1 - shape.closure) * (1 - shape.tuck)),
            ("mouthUpperUpLeft", 0.2 * shape.tuck + 0.15 * shape.teeth),
            ("mouthUpperUpRight", 0.2 * shape.tuck + 0.15 * shape.teeth), ("tongueOut", 0.3 * shape[.th]),
        ]
        return values.map { ($0, min(1, max(0, $1))) }
    }

    /// All weights of a shape in the order of `names`.
    public static func all(of shape: MouthShape) -> [Float] {
        let weights = Dictionary(uniqueKeysWithValues: weights(of: shape).map { ($0.name, $0.weight) })
        return names.map { weights[$0] ?? 0 }
    }
}
