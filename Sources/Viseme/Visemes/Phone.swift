/// The phones that an articulator tells apart, whatever the language. The order is that of its output.
public enum Phone: String, Sendable, Codable, CaseIterable {
    /// Silence.
    case sil
    /// With the lips. Voiced and voiceless pairs that look alike have one name, except /p b m/ and /f v/.
    case p, b, m, f, v, w
    /// With the tip of the tongue: `th` is θ and ð, `s` is s and z, `sh` is ʃ and ʒ, `r` is the English one.
    case th, t, d, n, l, s, sh, r
    /// Further back: `k` is k, ɡ, x and ʁ, `rr` is a rolled r.
    case k, ng, h, y, rr
    /// Vowels: spread, neutral, open, rounded. `ue` is y, `oe` is ø.
    case iy, ih, ey, eh, ae, ah, ax, aa, er, ao, oo, uh, uw, ue, oe
}
