"""Phones with times for recordings that have a text, by forced alignment: python -m viseme_train.align SPEECH OUT.tsv

pocketsphinx 5 aligns with the English acoustic model of its wheel. Words that its dictionary has not, and all words of other languages, are
pronounced by espeak-ng; each sound is heard as the nearest English one and written as espeak's, so that no rounding is lost. What
`phones_pocketsphinx.tsv` of the same folder has, where there is one, is taken as it is. Beams are wide: texts of recognisers have errors.
Phones are ARPAbet in capitals or IPA, `SIL` is a pause.
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from viseme_train import checkpoint
from viseme_train.phonemes import from_ipa

#: How the English model hears espeak's sounds.
HEARD = dict(zip("pbmfvwβʋɸʍɥθðtdɾnlɫʎɭɲɳszʃʒɕʑɹɻrɽʀʁkɡgŋɣxχhɦcçjʝɟqiɪᵻɨeɛæʌɐəaɑɒɜɚɝɔoʊuʉyʏøœɵ",
                 "P B M F V W V V F W W TH DH T D D N L L L L N N S Z SH ZH SH ZH R R R R R HH K G G NG G HH HH HH HH K HH Y Y G K "
                 "IY IH IH IH EY EH AE AH AH AH AA AA AO ER ER ER AO OW UH UW UW UW UH ER ER ER".split(), strict=True))
#: Voices of espeak-ng by the languages of the index.
VOICES = {"en": "en-us", "de": "de", "fr": "fr-fr", "es": "es", "pt": "pt", "it": "it"}
COLUMNS = ("file", "word", "phone", "start", "end", "score")
BEAM = 1e-120
#: Median score of a recording's phones under which it does not say its text. English ones have −135 … −75, French ones by this model −330 … −235.
WORST = -250.0


def spelled(text: str) -> list[str]:
    """The words of a text, lower case, without punctuation."""
    return re.sub(r"[^\w' ]|_", " ", text.lower().replace("’", "'")).split()


def sounds(word: str, language: str) -> list[str]:
    """espeak-ng's sounds of a word, one IPA letter each."""
    said = subprocess.run(["espeak-ng", "-q", "--ipa", "-v", VOICES[language], word], check=True, capture_output=True, text=True).stdout
    letters = [c for c in unicodedata.normalize("NFD", said) if c in HEARD]
    for letter in letters:
        from_ipa(letter)  # an error by name, where the table has it not
    return letters


class Aligner:
    """One decoder with a dictionary of its own: the wheel's, and the words of `texts` (text, language) that it has not."""

    def __init__(self, texts: list[tuple[str, str]], folder: Path) -> None:
        from pocketsphinx import Decoder, get_model_path  # only the recipe of robin wants it

        english = Path(get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8").splitlines()
        entries = {line.split()[0] for line in english}
        self.names: dict[tuple[str, str], str] = {}
        self.said: dict[str, list[str]] = {}
        for word, language in sorted({(word, language) for text, language in texts for word in spelled(text)}):
            if language == "en" and word in entries:
                self.names[word, language] = word
            elif letters := sounds(word, language):
                name = f"{word}@{language}"
                self.names[word, language], self.said[name] = name, letters
                english.append(f"{name} {' '.join(HEARD[s] for s in letters)}")
        dictionary = folder / "words.dict"
        dictionary.write_text("\n".join(english) + "\n", encoding="utf-8")
        self.decoder = Decoder(lm=None, dict=str(dictionary), bestpath=False, beam=BEAM, pbeam=BEAM, wbeam=BEAM, logfn="/dev/null")

    def phones(self, wave: np.ndarray, text: str, language: str) -> list[tuple[str, str, float, float, int]] | None:
        """Word, phone, start and end in seconds, score; nothing where the recording does not fit the text."""
        words = [self.names[word, language] for word in spelled(text) if (word, language) in self.names]
        pcm = (np.clip(wave, -1, 1) * 32767).astype(np.int16).tobytes()
        self.decoder.set_align_text(" ".join(words))
        try:
            for second in (False, True):
                if second:
                    self.decoder.set_alignment()
                self.decoder.start_utt()
                self.decoder.process_raw(pcm, full_utt=True)
                self.decoder.end_utt()  # nothing may be asked of the decoder between the passes: it crashes
        except RuntimeError:  # its way to say that no path reaches the end
            return None
        return list(self._named(self.decoder.get_alignment()))

    def _named(self, alignment: object) -> Iterator[tuple[str, str, float, float, int]]:
        for word in alignment:  # type: ignore[attr-defined]
            own = self.said.get(word.name)
            for i, phone in enumerate(word):
                yield word.name.split("@")[0], own[i] if own else phone.name, phone.start / 100, (phone.start + phone.duration) / 100, phone.score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("out", type=Path)
    a = parser.parse_args()
    given = a.speech / "phones_pocketsphinx.tsv"
    lines = given.read_text(encoding="utf-8").splitlines() if given.exists() else ["\t".join(COLUMNS)]
    have = {line.split("\t")[0] for line in lines}
    with open(a.speech / "index.tsv", encoding="utf-8") as file:
        todo = [row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if row["file"] not in have and row["text"]]
    with tempfile.TemporaryDirectory() as folder:
        aligner = Aligner([(row["text"], row["language"].split("-")[0]) for row in todo], Path(folder))
    left = []
    for row in todo:
        wave, _ = soundfile.read(a.speech / row["file"])
        phones = aligner.phones(wave, row["text"], row["language"].split("-")[0])
        if phones is None or np.median([p[4] for p in phones if p[1] != "SIL"]) < WORST:
            left.append(row["file"])
            continue
        lines += [f"{row['file']}\t{word}\t{phone}\t{start:.2f}\t{end:.2f}\t{score}" for word, phone, start, end, score in phones]
    checkpoint.save_text("\n".join(lines) + "\n", a.out)
    print(f"{len(todo) - len(left)} of {len(todo)} aligned; not: {' '.join(left) or 'none'}")


if __name__ == "__main__":
    main()
