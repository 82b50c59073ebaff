"""The speech corpus: synthetic voices with known phone times (flite, festival, espeak-ng), seeded, cached, resumable.

    python speech.py [--jobs 2]

writes `corpus.json` and one `corpus/<id>.npz` an utterance into the work folder; `viseme_train.corpus` reads them. Held out of training:
the voices flite rms (natural), festival ked (diphone) and every espeak variant f4, and every tenth sentence.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import multiprocessing
import os
import random
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from viseme_train import config
from viseme_train.checkpoint import replacing, save_text
from viseme_train.compact.settings import CompactConfig
from viseme_train.phonemes import expand, from_arpabet, from_ipa, from_russian

HERE = Path(__file__).resolve().parent
RATE = 16000

FLITE = ["slt", "awb", "kal16"]
FLITE_HELD_OUT = ["rms"]
FESTIVAL = {"slt-hts": "cmu_us_slt_arctic_hts", "kal": "kal_diphone"}
RUSSIAN = {"nsh": "msu_ru_nsh_clunits"}
#: Voices that sound like people: recorded ones and smooth models of recorded ones.
NATURAL = ("slt", "awb", "slt-hts", "nsh")
FESTIVAL_HELD_OUT = {"ked": "ked_diphone"}
DIALECTS = ["en", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-us-nyc"]
VARIANTS = ["m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f5", "klatt", "klatt2", "klatt3", "klatt4",
            "Annie", "linda", "Andrea", "steph", "Alex", "Mike", "victor", "travis", "zac", "michael", "adam", "Diogo",
            "aunty", "belinda", "anika", "caleb", "david", "Marco", "paul", "quincy", "sandro", "shelby", "Lee", "norbert"]


def grammar(count: int, rng: random.Random) -> list[str]:
    """Sentences from a small grammar of our own, rich in lip sounds."""
    who = ["the baker", "my brother", "a famous pilot", "Emma", "the whole village", "our neighbor", "a small puppy", "the new mayor",
           "Professor Webb", "the woman in blue", "everybody", "Uncle Bob", "the farmer's wife", "a very old frog", "the piano player",
           "Thomas", "the boy with the map", "someone upstairs", "a group of workmen", "the best violinist"]
    did = ["moved", "bought", "painted", "found", "measured", "washed", "wrapped up", "borrowed", "believed in", "thought about",
           "pushed over", "showed us", "opened", "described", "fixed", "chose", "laughed at", "jumped over", "poured water on", "dreamed of"]
    what = ["the wooden table", "a purple balloon", "five empty boxes", "the oldest bridge", "a map of the moon", "the broken vase",
            "some warm apple pie", "the blue umbrella", "three yellow leaves", "a huge jar of honey", "the garden wall", "seven shiny pebbles",
            "a pair of wet boots", "the museum roof", "an enormous pumpkin", "the rubber boat", "two pounds of butter", "a loaf of brown bread",
            "the choir book", "a foggy mirror"]
    when = ["before noon", "on Wednesday", "after the film", "without a word", "by the river", "in the morning", "for fun", "with both hands",
            "behind the barn", "just to be sure", "at the market", "while it was raining", "in less than a week", "under the old oak",
            "from time to time", "for the first time", "in front of the shop", "to our great surprise"]
    forms = ["{who} {did} {what} {when}.", "{when}, {who} {did} {what}.", "Was it {who} that {did} {what}?",
             "{who} {did} {what}, but {who2} {did2} {what2}.", "Maybe {who} {did} {what} {when}.", "I am told that {who} {did} {what}."]
    out: list[str] = []
    while len(out) < count:
        text = rng.choice(forms).format(who=rng.choice(who), did=rng.choice(did), what=rng.choice(what), when=rng.choice(when),
                                        who2=rng.choice(who), did2=rng.choice(did), what2=rng.choice(what))
        text = text[0].upper() + text[1:]
        if text not in out:
            out.append(text)
    return out


def sentences(seed: int) -> dict[str, list[str]]:
    """All sentences by language; every tenth (index % 10 == 7) is held out."""
    out = {}
    for language in ("en", "de", "es", "fr", "it", "ru"):
        lines = (HERE / "sentences" / f"{language}.txt").read_text(encoding="utf-8").splitlines()
        out[language] = [line.strip() for line in lines if line.strip()]
    out["en"] += grammar(130, random.Random(seed))
    return out


def plan(seed: int) -> list[dict[str, Any]]:
    """Every utterance of the corpus with its voice, parameters and split, in a fixed order."""
    rng = random.Random(seed + 1)
    texts = sentences(seed)
    jobs: list[dict[str, Any]] = []

    def add(text: str, held: bool, engine: str, voice: str, language: str = "en", voice_held: bool = False, **parameters: float) -> None:
        split = "heldout_voice" if voice_held else "heldout_sentence" if held else "train"
        key = json.dumps([engine, voice, text, parameters], sort_keys=True)
        jobs.append(dict(id=f"{engine}-{hashlib.sha1(key.encode()).hexdigest()[:12]}", text=text, engine=engine, voice=voice, natural=voice in NATURAL,
                         language=language, split=split, unseen_text=held, parameters=parameters))

    for i, text in enumerate(texts["en"]):
        held = i % 10 == 7
        for voice in FLITE:
            add(text, held, "flite", voice, stretch=round(rng.uniform(0.85, 1.2), 2))
        add(text, held, "festival", "slt-hts")
        if i % 4 == 0 or held:
            add(text, held, "festival", "kal")
        for _ in range(3 if not held else 2):
            add(text, held, "espeak", f"{rng.choice(DIALECTS)}+{rng.choice(VARIANTS)}", rate=rng.randint(125, 215),
                pitch=rng.randint(25, 75), range=rng.randint(30, 70))
        if held or i % 12 == 0:
            for voice in FLITE_HELD_OUT:
                add(text, held, "flite", voice, voice_held=True, stretch=1.0)
        if held:
            for voice in FESTIVAL_HELD_OUT:
                add(text, held, "festival", voice, voice_held=True)
            add(text, held, "espeak", f"{rng.choice(DIALECTS[:2])}+f4", voice_held=True, rate=160, pitch=50, range=50)
    for language in ("de", "es", "fr", "it"):
        for i, text in enumerate(texts[language]):
            held = i % 10 == 7
            for _ in range(5):
                add(text, held, "espeak", f"{language}+{rng.choice(VARIANTS)}", language, rate=rng.randint(125, 205),
                    pitch=rng.randint(25, 75), range=rng.randint(30, 70))
            if held:
                add(text, held, "espeak", f"{language}+f4", language, voice_held=True, rate=160, pitch=50, range=50)
    for text in texts["ru"]:
        add(text, False, "festival", "nsh", "ru")
    return jobs


# --- engines ---

#: Wave float32, rate, [(canonical names, start, end)].
Spoken = tuple[np.ndarray, int, list[tuple[list[str], float, float]]]


def flite(text: str, voice: str, stretch: float, folder: str) -> Spoken:
    path = os.path.join(folder, "flite.wav")
    out = subprocess.run(["flite", "-voice", voice, "--setf", f"duration_stretch={stretch}", "-psdur", "-t", text, "-o", path],
                         check=True, capture_output=True, text=True).stdout
    phones, last = [], 0.0
    for item in out.split():
        name, _, end = item.rpartition(":")
        phones.append((from_arpabet(name), last, float(end)))
        last = float(end)
    wave, rate = soundfile.read(path, dtype="float32")
    return wave, rate, phones


def festival(items: list[dict[str, Any]], folder: str) -> list[Spoken]:
    """A batch with one start of festival: its voices take a second to load."""
    names = {**FESTIVAL, **FESTIVAL_HELD_OUT, **RUSSIAN}
    lines = []
    for i, item in enumerate(items):
        text = item["text"].replace('"', "")
        lines += [f"(voice_{names[item['voice']]})", f'(set! utt (utt.synth (Utterance Text "{text}")))',
                  f'(utt.save.segs utt "{folder}/{i}.lab")', f'(utt.save.wave utt "{folder}/{i}.wav" \'riff)']
    script = os.path.join(folder, "batch.scm")
    Path(script).write_text("\n".join(lines))
    subprocess.run(["festival", "-b", script], check=True, capture_output=True)
    out = []
    for i in range(len(items)):
        phones, last = [], 0.0
        for line in Path(f"{folder}/{i}.lab").read_text().splitlines():
            field = line.split()
            if len(field) == 3:
                names_of = from_russian if items[i]["voice"] in RUSSIAN else from_arpabet
                phones.append((names_of(field[2]), last, float(field[0])))
                last = float(field[0])
        wave, rate = soundfile.read(f"{folder}/{i}.wav", dtype="float32")
        out.append((wave, rate, phones))
    return out


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int), ("length", ctypes.c_int),
                ("audio_position", ctypes.c_int), ("sample", ctypes.c_int), ("user_data", ctypes.c_void_p), ("id", _Id)]


class Espeak:
    """espeak-ng through its C library: the only way to the times of its phonemes."""

    def __init__(self) -> None:
        self.lib = ctypes.CDLL("libespeak-ng.so.1")
        self.rate = self.lib.espeak_Initialize(2, 500, None, 1 | 2)
        if self.rate <= 0:
            raise RuntimeError("espeak-ng does not start: is espeak-ng-data installed?")
        self.pieces: list[np.ndarray] = []
        self.events: list[tuple[float, str]] = []
        prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        self._callback = prototype(self._receive)
        self.lib.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self.pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].type != 0:
            if events[i].type == 7:
                raw = bytes(ctypes.string_at(ctypes.addressof(events[i].id), 8)).split(b"\0")[0]
                self.events.append((events[i].audio_position / 1000, raw.decode("utf-8", "ignore")))
            i += 1
        return 0

    def speak(self, text: str, voice: str, rate: int, pitch: int, range: int) -> Spoken:
        if self.lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice!r}")
        for parameter, value in ((1, rate), (3, pitch), (4, range)):
            self.lib.espeak_SetParameter(parameter, value, 0)
        self.pieces, self.events = [], []
        data = text.encode() + b"\0"
        self.lib.espeak_Synth(data, len(data), 0, 1, 0, 1, None, None)
        self.lib.espeak_Synchronize()
        wave = np.concatenate(self.pieces).astype(np.float32) / 32768
        total = len(wave) / self.rate
        # A name in brackets is espeak's note that the language changes, no phoneme.
        events = sorted((e for e in self.events if not e[1].startswith("(")), key=lambda e: e[0])
        phones = []
        for i, (start, name) in enumerate(events):
            end = events[i + 1][0] if i + 1 < len(events) else total
            if end > start:
                phones.append((from_ipa(name), start, end))
        return wave, self.rate, phones


def _save(path: Path, job: dict[str, Any], spoken: Spoken) -> None:
    import librosa

    wave, rate, phones = spoken
    if rate != RATE:
        wave = librosa.resample(wave, orig_sr=rate, target_sr=RATE, res_type="soxr_hq")
    flat = [p for names, start, end in phones for p in expand(names, start, end)]
    total = len(wave) / RATE
    flat = [(i, min(s, total), min(e, total)) for i, s, e in flat]
    pcm = np.clip(np.round(wave * 32767), -32768, 32767).astype(np.int16)
    with replacing(path) as scratch:
        np.savez(scratch, wave=pcm, phones=np.array(flat, np.float64), job=json.dumps(job))


_ESPEAK: Espeak | None = None


def _make(task: tuple[Path, list[dict[str, Any]]]) -> int:
    global _ESPEAK
    root, batch = task
    batch = [job for job in batch if not (root / f"{job['id']}.npz").exists()]
    with tempfile.TemporaryDirectory() as folder:
        if batch and batch[0]["engine"] == "festival":
            for job, result in zip(batch, festival(batch, folder)):
                _save(root / f"{job['id']}.npz", job, result)
            return len(batch)
        for job in batch:
            if job["engine"] == "flite":
                result = flite(job["text"], job["voice"], job["parameters"]["stretch"], folder)
            else:
                _ESPEAK = _ESPEAK or Espeak()
                result = _ESPEAK.speak(job["text"], job["voice"], **job["parameters"])
            _save(root / f"{job['id']}.npz", job, result)
    return len(batch)


def main() -> None:
    parser = config.parser(__doc__, HERE / "robin.toml")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    settings = config.read(CompactConfig, arguments.config, arguments.set)
    root = settings.work / "corpus"
    jobs = plan(settings.corpus_seed)
    by_engine = {e: [j for j in jobs if j["engine"] == e] for e in ("espeak", "flite", "festival")}
    batches = [(root, group[i:i + 20]) for group in by_engine.values() for i in range(0, len(group), 20)]
    done = 0
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        for i, count in enumerate(pool.imap_unordered(_make, batches)):
            done += count
            if i % 10 == 9:
                print(f"{i + 1}/{len(batches)} batches, {done} made", flush=True)
    save_text(json.dumps(jobs, ensure_ascii=False, indent=0), settings.work / "corpus.json")
    print(f"{len(jobs)} utterances in {root}")


if __name__ == "__main__":
    main()
