"""Phones: one canonical set, and tables from the sets of the synthesizers to it.

flite and festival print ARPAbet-like names, espeak-ng prints IPA. Every source phone becomes one or more canonical
phones, each with its share of the duration (diphthongs and affricates are split). An unknown phone is an error, so that a
new voice or language cannot silently speak with a closed mouth.
"""

from __future__ import annotations

import unicodedata

CANONICAL = (
    "sil",
    # lips
    "p", "b", "m", "f", "v", "w",
    # tongue tip and teeth
    "th", "t", "d", "n", "l", "s", "sh", "r",
    # back of the mouth
    "k", "ng", "h", "y", "rr",
    # vowels: spread, neutral, open, rounded
    "iy", "ih", "ey", "eh", "ae", "ah", "ax", "aa", "er", "ao", "oo", "uh", "uw", "ue", "oe",
)
INDEX = {name: index for index, name in enumerate(CANONICAL)}

_ARPABET = {
    "pau": "sil", "h#": "sil", "brth": "sil", "sil": "sil", "#": "sil", "ssil": "sil",
    "p": "p", "b": "b", "m": "m", "em": "ax m", "f": "f", "v": "v", "w": "w", "hw": "w", "wh": "w",
    "th": "th", "dh": "th", "t": "t", "d": "d", "dx": "d", "nx": "n", "n": "n", "en": "ax n", "l": "l", "el": "ax l",
    "s": "s", "z": "s", "sh": "sh", "zh": "sh", "ch": "t sh", "jh": "d sh", "r": "r",
    "k": "k", "g": "k", "ng": "ng", "hh": "h", "hv": "h", "y": "y",
    "iy": "iy", "ih": "ih", "ix": "ih", "ey": "ey ih", "eh": "eh", "ae": "ae", "ah": "ah", "ax": "ax", "axr": "er",
    "aa": "aa", "er": "er", "ao": "ao", "ow": "oo uh", "uh": "uh", "uw": "uw", "ux": "uw",
    "ay": "aa ih", "aw": "aa uh", "oy": "ao ih",
}

_IPA = {
    "p": "p", "b": "b", "m": "m", "f": "f", "v": "v", "w": "w", "β": "v", "ʋ": "v", "ɸ": "f", "ʍ": "w", "ɥ": "ue",
    "θ": "th", "ð": "th", "t": "t", "d": "d", "ɾ": "d", "n": "n", "l": "l", "ɫ": "l", "ʎ": "l", "ɭ": "l", "ɲ": "n", "ɳ": "n",
    "s": "s", "z": "s", "ʃ": "sh", "ʒ": "sh", "ɕ": "sh", "ʑ": "sh", "ɹ": "r", "ɻ": "r", "r": "rr", "ɽ": "rr", "ʀ": "k", "ʁ": "k",
    "k": "k", "ɡ": "k", "g": "k", "ŋ": "ng", "ɣ": "k", "x": "k", "χ": "k", "h": "h", "ɦ": "h", "ʔ": "h", "c": "k", "ç": "y",
    "j": "y", "ʝ": "y", "ɟ": "y", "q": "k",
    "i": "iy", "ɪ": "ih", "ᵻ": "ih", "ɨ": "ih", "e": "ey", "ɛ": "eh", "æ": "ae", "ʌ": "ah", "ɐ": "ax", "ə": "ax", "a": "aa",
    "ɑ": "aa", "ɒ": "ao", "ɜ": "er", "ɚ": "er", "ɝ": "er", "ɔ": "ao", "o": "oo", "ʊ": "uh", "u": "uw", "ʉ": "uw",
    "y": "ue", "ʏ": "ue", "ø": "oe", "œ": "oe", "ɵ": "oe",
}
#: festival's Russian voice: a doubled consonant is a soft one, a doubled vowel a stressed one.
_RUSSIAN = {
    "pau": "sil", "#": "sil", "ii": "iy", "i": "ih", "yy": "ih", "y": "ih", "ee": "eh", "e": "eh", "aa": "aa", "a": "ah", "ae": "ax", "ay": "ax", "ur": "ax",
    "oo": "ao", "uu": "uw", "u": "uh", "p": "p", "b": "b", "m": "m", "f": "f", "v": "v", "t": "t", "d": "d", "n": "n", "l": "l", "s": "s", "z": "s",
    "c": "t s", "ch": "t sh", "sh": "sh", "sch": "sh", "zh": "sh", "r": "rr", "k": "k", "g": "k", "h": "k", "j": "y",
}

#: Marks that say how a phone is said but not where the lips are.
_IGNORED = set("ˈˌːˑ.̩̯̃̈͡ʲʰˠˤ'_|-^;:*?! ̝̞̪̥ʼ˞‿\u200d")


def from_arpabet(name: str) -> list[str]:
    """The canonical phones of a flite or festival phone, in order."""
    key = name.lower().rstrip("0123456789") or "sil"
    if key not in _ARPABET:
        raise KeyError(f"unknown ARPAbet phone {name!r}: add it to phonemes._ARPABET")
    return _ARPABET[key].split()


def from_russian(name: str) -> list[str]:
    """The canonical phones of a phone of festival's `msu_ru_nsh_clunits`, in order."""
    half = name[: len(name) // 2]
    key = half if half * 2 == name and name not in _RUSSIAN else name
    if key not in _RUSSIAN:
        raise KeyError(f"unknown Russian phone {name!r}: add it to phonemes._RUSSIAN")
    return _RUSSIAN[key].split()


def from_ipa(name: str) -> list[str]:
    """The canonical phones of an espeak-ng phone in IPA, in order; an empty name is a pause."""
    text = unicodedata.normalize("NFD", name)
    out: list[str] = []
    for char in text:
        if char in _IGNORED or unicodedata.combining(char):
            continue
        if char not in _IPA:
            raise KeyError(f"unknown IPA phone {name!r} ({char!r}, U+{ord(char):04X}): add it to phonemes._IPA")
        for phone in _IPA[char].split():
            if not out or out[-1] != phone:
                out.append(phone)
    return out or ["sil"]


#: One timed phone: canonical index, start and end in seconds.
Phone = tuple[int, float, float]

VOWELS = frozenset(INDEX[n] for n in CANONICAL[CANONICAL.index("iy"):])
BILABIALS = frozenset(INDEX[n] for n in ("p", "b", "m"))


def expand(names: list[str], start: float, end: float) -> list[Phone]:
    """Splits one source phone's time among its canonical phones; the first of a vowel pair gets 55 %."""
    if len(names) == 1:
        return [(INDEX[names[0]], start, end)]
    first = 0.55 if INDEX[names[0]] in VOWELS else 0.45
    shares = [first] + [(1 - first) / (len(names) - 1)] * (len(names) - 1)
    out, t = [], start
    for name, share in zip(names, shares):
        nxt = t + share * (end - start)
        out.append((INDEX[name], t, nxt))
        t = nxt
    return out
