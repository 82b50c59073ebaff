import Foundation

/// A word of a text, and how it is said.
public struct SpokenWord: Sendable, Equatable {
    /// The word as it is written.
    public var text: String
    /// Its phones in order.
    public var phones: [Phone]

    /// Makes a word.
    public init(text: String, phones: [Phone]) { (self.text, self.phones) = (text, phones) }
}

extension Phone {
    /// The phones of sounds in the International Phonetic Alphabet, in order, as espeak-ng writes them.
    ///
    /// Stress, length and accents are left out, and what stands in parentheses: espeak-ng names a change of language so.
    ///
    /// - Returns: nil when a letter is not known.
    public static func sequence(ipa text: String) -> [Phone]? {
        var phones: [Phone] = []
        var isName = false
        for scalar in text.decomposedStringWithCanonicalMapping.unicodeScalars {
            if scalar == "(" || scalar == ")" {
                isName = scalar == "("
            } else if !isName, !ignored.contains(scalar), !scalar.properties.isDiacritic {
                guard let phone = ofIPA[scalar] else { return nil }
                if phones.last != phone { phones.append(phone) }
            }
        }
        return phones
    }

    private static let ignored = Set("ˈˌːˑ.'_|-^;:*?! ʼ˞‿\u{200D}\u{0329}\u{032F}ʲʰˠˤ".unicodeScalars)

    /// The table that training has (`viseme_train.phonemes`): a sound of another language is heard as the nearest one by its lips.
    static let ofIPA: [Unicode.Scalar: Phone] = {
        let letters: [(Phone, String)] = [
            (.p, "p"), (.b, "b"), (.m, "m"), (.f, "fɸ"), (.v, "vβʋ"), (.w, "wʍ"), (.th, "θð"), (.t, "t"), (.d, "dɾ"),
            (.n, "nɲɳ"),
            (.l, "lɫʎɭ"), (.s, "sz"), (.sh, "ʃʒɕʑ"), (.r, "ɹɻ"), (.k, "kɡgɣxχcqʀʁ"), (.ng, "ŋ"), (.h, "hɦʔ"),
            (.y, "jçʝɟ"),
            (.rr, "rɽ"), (.iy, "i"), (.ih, "ɪᵻɨ"), (.ey, "e"), (.eh, "ɛ"), (.ae, "æ"), (.ah, "ʌ"), (.ax, "ɐə"),
            (.aa, "aɑ"),
            (.er, "ɜɚɝ"), (.ao, "ɒɔ"), (.oo, "o"), (.uh, "ʊ"), (.uw, "uʉ"), (.ue, "yʏɥ"), (.oe, "øœɵ"),
        ]
        return letters.reduce(into: [:]) { table, entry in
            for letter in entry.1.unicodeScalars { table[letter] = entry.0 }
        }
    }()
}
