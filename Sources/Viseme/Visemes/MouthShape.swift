/// What the mouth does in one video frame, as heard.
///
/// All zero is a mouth at rest with closed lips. Robin is drawn from the first seven values.
public struct MouthShape: Sendable, Equatable, Codable {
    /// How far the jaw is open, 0…1.
    public var jaw: Float
    /// How far the corners are drawn apart (spread, 1) or together (−1).
    public var width: Float
    /// How far the lips are rounded and pushed forward, 0…1.
    public var rounding: Float
    /// How far the lips are pressed on one another, whatever the jaw does, 0…1: 1 at /p b m/.
    public var closure: Float
    /// How far the lower lip is under the upper teeth, 0…1: 1 at /f v/.
    public var tuck: Float
    /// How much the teeth show, 0…1.
    public var teeth: Float
    /// How far the tongue is up behind the teeth, 0…1.
    public var tongue: Float
    /// How likely each phone is spoken, in the order of `Phone.allCases`; the sum is 1.
    public var phones: [Float]

    /// Values of an articulator's output: seven parameters, then the phones.
    package static let valueCount = parameterNames.count + Phone.allCases.count

    /// Takes the values of an articulator's output.
    ///
    /// - Throws: `.badData` when they are not as many as they should be, or no numbers.
    package init(values: [Float]) throws {
        guard values.count == Self.valueCount else {
            throw VisemeError(
                .badData, "The articulator gives \(values.count) values a frame, expected \(Self.valueCount).")
        }
        try values.requireFinite("The articulator's output")
        (jaw, width, rounding, closure) = (values[0], values[1], values[2], values[3])
        (tuck, teeth, tongue) = (values[4], values[5], values[6])
        phones = Array(values[7...])
    }

    /// Makes a shape; without phones it is silent.
    public init(
        jaw: Float = 0, width: Float = 0, rounding: Float = 0, closure: Float = 0, tuck: Float = 0, teeth: Float = 0,
        tongue: Float = 0, phones: [Float] = [1] + [Float](repeating: 0, count: Phone.allCases.count - 1)
    ) {
        (self.jaw, self.width, self.rounding, self.closure) = (jaw, width, rounding, closure)
        (self.tuck, self.teeth, self.tongue, self.phones) = (tuck, teeth, tongue, phones)
    }

    /// Names of the parameters.
    public static let parameterNames = ["jaw", "width", "rounding", "closure", "tuck", "teeth", "tongue"]
    /// The parameters in the order of their names.
    public var parameters: [Float] { [jaw, width, rounding, closure, tuck, teeth, tongue] }

    /// A mouth at rest.
    public static let rest = MouthShape()

    /// How far the lips are apart, 0…1: jaw·(1 − closure)·(1 − ¾ tuck).
    public var opening: Float { jaw * (1 - closure) * (1 - 0.75 * tuck) }

    /// How likely a phone is spoken.
    public subscript(phone: Phone) -> Float {
        phones[Phone.allCases.firstIndex(of: phone).unsafelyUnwrapped]
    }

    /// The shape between this one (share 0) and another one (share 1).
    func mixed(with other: MouthShape, share: Float) -> MouthShape {
        func mix(_ a: Float, _ b: Float) -> Float { a + (b - a) * share }
        return MouthShape(
            jaw: mix(jaw, other.jaw), width: mix(width, other.width), rounding: mix(rounding, other.rounding),
            closure: mix(closure, other.closure), tuck: mix(tuck, other.tuck), teeth: mix(teeth, other.teeth),
            tongue: mix(tongue, other.tongue), phones: zip(phones, other.phones).map(mix))
    }
}
