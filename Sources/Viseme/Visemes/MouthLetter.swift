/// The mouth shapes of Rhubarb Lip Sync, after the Hanna-Barbera chart: six basic ones, three more, as drawn characters have them.
public enum MouthLetter: String, Sendable, Codable, CaseIterable {
    /// `A` closed (/p b m/), `B` teeth together (/k s t i/), `C` open (/ɛ æ/), `D` wide open (/ɑ/), `E` slightly rounded (/ɔ ɜ/),
    /// `F` puckered (/u o w/), `G` lower lip under the teeth (/f v/), `H` tongue up (/l/), `X` at rest.
    case a = "A"
    case b = "B"
    case c = "C"
    case d = "D"
    case e = "E"
    case f = "F"
    case g = "G"
    case h = "H"
    case x = "X"

    /// The letter of a shape.
    public init(of shape: MouthShape) {
        let opening = shape.opening
        self =
            if shape[.sil] > 0.5, opening < 0.05 {
                .x
            } else if shape.closure > 0.5 {
                .a
            } else if shape.tuck > 0.5 {
                .g
            } else if shape.rounding > 0.55 {
                opening > 0.4 ? .e : .f
            } else if shape[.l] > 0.4, opening > 0.12 {
                .h
            } else if shape.rounding > 0.3, opening > 0.2 {
                .e
            } else if opening > 0.55 {
                .d
            } else if opening > 0.28 {
                .c
            } else {
                .b
            }
    }
}
