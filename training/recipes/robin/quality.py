"""Measures the exported pack against the bars and writes docs/quality.md.

    python recipes/robin/quality.py [--human CLIP.wav] [--clips 8]

The pack is run by ONNX Runtime with the arithmetic of `viseme_train`. Synthetic speech whose voice or sentence was held out has a true mouth: the
truth is the drawing with that mouth on the template's own pose, and opening, width and rounding are read from the pixels of both. People have no true
mouth: every held-out speaker is asked what their phones say (`measure_listener`). Contact sheets go to <work>/quality.
"""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import soundfile

import measure_listener
import pictures
import presenter
from viseme_train import config, corpus, metrics, reference
from viseme_train import mouth as mouth_model
from viseme_train.compact import export, front_end
from viseme_train.compact.settings import CompactConfig
from viseme_train.corpus import Utterance
from viseme_train.phonemes import Phone

ROOT = Path(__file__).resolve().parents[3]
CLOSED = 1.5              # pixels: less opening than this is a closed mouth
CLIPS = 8


INTRODUCTION = """# Quality of the default avatar

Measured by `training/recipes/robin/quality.py` on the exported pack, by ONNX Runtime {runtime} with the arithmetic of `viseme_train`.

Synthetic speech: {clips} clips, {frames} frames, of a voice that training never heard (flite rms, unseen sentences) and of sentences
that training never heard (flite slt and awb, festival slt-hts). The truth is the drawing with the true mouth on the template's own
pose. Opening, width and rounding are measured from pixels (`presenter.measure`); less than {closed} pixels of opening is a closed
mouth. A positive lag means that the picture is late.
"""
PEOPLE = """## People

Recordings of speakers that training never had, and of a language that it never had (Portuguese). People have no true mouth; the
phones, with times from a forced alignment, say when lips must touch: at each of /p b m/, within a frame. Asked is the opening that the networks ask the drawing
for; less than 12 % of its 95th percentile counts as shut. Open vowels are asked in their middle, pauses of more than 0.4 s from 0.2 s inside.
`wrong sound` asks the same of another recording's mouth: it shows what a mouth that hears nothing scores.
"""


class Engine:
    """The pack, run as the program does."""

    def __init__(self, settings: CompactConfig) -> None:
        o = onnxruntime.SessionOptions()
        o.intra_op_num_threads = 1
        self.encoder, self.generator = (onnxruntime.InferenceSession(str(settings.pack / name), o, providers=["CPUExecutionProvider"])
                                        for name in ("audio_encoder.onnx", "generator.onnx"))
        self.template = np.load(settings.work / "pictures" / "template.npy", mmap_mode="r")
        self.mask = np.load(settings.work / "pictures" / "mask.npy")

    def rows(self, wave: np.ndarray) -> np.ndarray:
        windows = front_end.windows(front_end.mel(wave))
        return np.concatenate([self.encoder.run(None, {"mel": windows[i:i + 256]})[0] for i in range(0, len(windows), 256)])

    def frame(self, rows: np.ndarray, i: int, pose: int | None = None) -> np.ndarray:
        """The roi of a frame, composed: [H, W, 3] uint8."""
        pose = reference.template_index(i, len(self.template)) if pose is None else pose
        roi = np.ascontiguousarray(self.template[pose])
        drawn = self.generator.run(None, {"image": export.image_input(roi, self.mask)[None], "audio": front_end.feature_window(rows, i)[None]})[0][0]
        return compose(roi, reference.to_bytes(drawn), self.mask)


def compose(roi: np.ndarray, drawn: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The template outside the mask, the drawing inside, mixed at its edge."""
    share = mask[..., None].astype(np.uint32)
    return ((drawn * share + roi * (255 - share) + 127) // 255).astype(np.uint8)


def shape(roi: np.ndarray, pose: int) -> tuple[float, float, float]:
    """Opening, lip width and rounding of a roi of this pose, in pixels of the face's square at 320."""
    x1, y1, x2, y2 = presenter.square(presenter.template_pose(pose))
    left, top, _, _ = pictures.box(pose)
    whole = np.zeros((y2 - y1 + pictures.HEIGHT, x2 - x1, 3), np.uint8)
    from_x, to_x = max(0, x1 - left), max(0, left - x1)
    width = min(pictures.WIDTH - from_x, x2 - x1 - to_x)
    whole[top - y1:top - y1 + pictures.HEIGHT, to_x:to_x + width] = roi[:, from_x:from_x + width]
    return presenter.measure(reference.roi(cv2.resize(whole[:y2 - y1], (reference.CROP, reference.CROP), interpolation=cv2.INTER_CUBIC)))


@dataclass
class Clip:
    """A rendered clip beside its truth; without pictures the truth is another clip's."""

    id: str
    phones: list[Phone]
    track: np.ndarray
    speech: np.ndarray
    rows: np.ndarray
    rendered: np.ndarray
    true: np.ndarray
    frames: list[np.ndarray] = field(default_factory=list)
    #: PSNR inside the mask, SSIM of the roi, and how much detail there is inside the mask beside the truth's, of every third frame.
    scores: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    #: The step across the mask's edge beside the template's own, of every frame.
    steps: np.ndarray = field(default_factory=lambda: np.zeros(0))


def detail(roi: np.ndarray, mask: np.ndarray) -> float:
    """High-pass energy inside the mask: what a Gaussian of 1.5 pixels takes away."""
    grey = cv2.cvtColor(roi, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return float(((grey - cv2.GaussianBlur(grey, (0, 0), 1.5)) ** 2)[mask == 255].mean())


def edge_step(roi: np.ndarray, mask: np.ndarray) -> float:
    """Mean difference of neighbouring pixels across the edge of what is drawn, in grey levels."""
    grey = cv2.cvtColor(roi, cv2.COLOR_BGR2GRAY).astype(np.float32)
    inside = mask > 0
    across, down = inside[:, 1:] != inside[:, :-1], inside[1:] != inside[:-1]
    return float(np.concatenate([np.abs(np.diff(grey, axis=1))[across], np.abs(np.diff(grey, axis=0))[down]]).mean())


def speech_clip(u: Utterance, snr: float | None, rng: np.random.Generator) -> tuple[np.ndarray, list[Phone]]:
    voice = u.wave16k * (.5 / np.abs(u.wave16k).max())
    wave = np.concatenate([np.zeros(6400), voice, np.zeros(6400)])
    phones = [(i, s + .4, e + .4) for i, s, e in u.phones]
    if snr is not None:
        wave = wave + rng.standard_normal(len(wave)) * np.sqrt((voice ** 2).mean()) * 10 ** (-snr / 20)
    return wave, phones


def run_clips(settings: CompactConfig, items: Sequence[Utterance], snr: float | None = None, with_pictures: bool = True) -> list[Clip]:
    """Renders and measures; noise does not change the truth, so a noisy run needs no pictures."""
    engine = Engine(settings)
    rng = np.random.default_rng(3)
    out = []
    for u in items:
        wave, phones = speech_clip(u, snr, rng)
        track, rows = mouth_model.track(phones, len(wave)), engine.rows(wave)
        rendered, true, scores, steps, frames = [], [], [], [], []
        for i in range(reference.frame_count(len(wave))):
            pose = reference.template_index(i, len(engine.template))
            frame = engine.frame(rows, i)
            rendered.append(shape(frame, pose))
            if not with_pictures:
                continue
            drawn = pictures.draw(pose, track[i])
            true.append(shape(drawn, pose))
            frames.append(frame)
            steps.append(edge_step(frame, engine.mask) / edge_step(np.ascontiguousarray(engine.template[pose]), engine.mask))
            if i % 3 == 0:
                inside = engine.mask > 0
                scores.append((metrics.psnr(frame[inside], drawn[inside]), metrics.ssim(frame, drawn), detail(frame, engine.mask) / detail(drawn, engine.mask)))
        out.append(Clip(u.id, phones, track, mouth_model.classes(phones, len(wave)) != 0, rows, np.array(rendered), np.array(true), frames, np.array(scores), np.array(steps)))
    return out


def best(clips: Sequence[Clip], column: int, speech_only: bool = False) -> tuple[float, int]:
    """(r, lag) of rendered against true over all clips, the lag of -1, 0, 1 that fits best; positive: the picture is late."""
    found = []
    for lag in (-1, 0, 1):
        a, b = [], []
        for c in clips:
            k = np.arange(max(0, -lag), len(c.true) - max(0, lag))
            k = k[c.speech[k]] if speech_only else k
            a.append(c.rendered[k + lag, column])
            b.append(c.true[k, column])
        found.append((metrics.correlation(np.concatenate(a), np.concatenate(b)), lag))
    return max(found)


def closures(clips: Sequence[Clip]) -> tuple[float, float, int]:
    """(share of bilabials found closed, share of false closures, bilabials)."""
    counts = sum((metrics.closures(c.rendered[:, 0], c.true[:, 0], c.speech, c.phones, CLOSED, 3 * CLOSED) for c in clips), np.zeros(4, int))
    return counts[0] / max(1, counts[1]), counts[2] / max(1, counts[3]), int(counts[1])


def motion(frames: Sequence[np.ndarray], mask: np.ndarray) -> float:
    """Mean change of the drawn pixels from frame to frame, in grey levels."""
    return float(np.mean([np.abs(a.astype(np.int16) - b)[mask > 0].mean() for a, b in zip(frames, frames[1:])]))


def silence(settings: CompactConfig, wave: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Openings, motion, and the template's own motion."""
    engine = Engine(settings)
    rows = engine.rows(wave)
    poses = [reference.template_index(i, len(engine.template)) for i in range(reference.frame_count(len(wave)))]
    frames = [engine.frame(rows, i) for i in range(len(poses))]
    return np.array([shape(f, p)[0] for f, p in zip(frames, poses)]), motion(frames, engine.mask), motion([engine.template[p] for p in poses], engine.mask)


def openings(settings: CompactConfig, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Opening of every frame of each recording, from pixels."""
    engine = Engine(settings)
    out = []
    for wave in waves:
        rows = engine.rows(wave)
        count = reference.frame_count(len(wave))
        out.append(np.array([shape(engine.frame(rows, i), reference.template_index(i, len(engine.template)))[0] for i in range(count)]))
    return out


def recording(path: Path) -> np.ndarray:
    wave, rate = soundfile.read(path)
    if rate != 16000 or wave.ndim != 1:
        raise SystemExit(f"{path}: {rate} Hz, shape {wave.shape}; a 16 kHz mono recording is wanted")
    return wave


def sheet(clip: Clip, path: Path, start: int, count: int = 10, step: int = 2) -> None:
    """Every second frame, drawn above and true below."""
    picks = range(start, min(start + count * step, len(clip.frames)), step)
    columns = [np.concatenate([clip.frames[i], pictures.draw(reference.template_index(i, presenter.LOOP_FRAMES), clip.track[i])])[:, 50:270] for i in picks]
    cv2.imwrite(str(path), np.concatenate(columns, 1))


def portrait(settings: CompactConfig, clip: Clip, path: Path) -> None:
    """The picture of the README: a rendered frame and a strip of moments, at most 300 KB."""
    opening = clip.rendered[:, 0]

    def whole(i: int) -> np.ndarray:
        pose = reference.template_index(i, presenter.LOOP_FRAMES)
        x1, y1, x2, y2 = pictures.box(pose)
        frame = presenter.render(presenter.template_pose(pose))
        frame[y1:y2, x1:x2] = clip.frames[i]
        return frame

    main = whole(int(np.argsort(opening)[int(len(opening) * .93)]))
    voiced = np.flatnonzero(clip.speech)
    strip = [whole(int(i))[60:620, 400:900] for i in voiced[np.linspace(3, len(voiced) - 4, 6).astype(int)]]
    for size in (960, 880, 800, 720, 640, 560):
        top = cv2.resize(main, (size, size * 9 // 16), interpolation=cv2.INTER_AREA)
        edges = np.linspace(0, size, 7).astype(int)
        tiles = [cv2.resize(t, (b - a, size // 6 * 56 // 50), interpolation=cv2.INTER_AREA) for t, a, b in zip(strip, edges, edges[1:])]
        cv2.imwrite(str(path), np.concatenate([top, np.concatenate(tiles, 1)]), [cv2.IMWRITE_PNG_COMPRESSION, 9])
        if path.stat().st_size <= 300_000:
            break


Row = tuple[str, str, str, bool]


def judge(engine: Engine, voice: list[Clip], sentences: list[Clip], noisy: list[Clip], quiet: dict[str, tuple[np.ndarray, float, float]],
          human: tuple[np.ndarray, dict[float, np.ndarray]] | None) -> list[Row]:
    """Every measure with its bar, its value, and whether it is met."""
    clips, table = voice + sentences, []

    def add(measure: str, bar: str, value: str, passed: bool) -> None:
        table.append((measure, bar, value, bool(passed)))
        print(f"{'ok  ' if passed else 'MISS'} {measure}: {value} ({bar})", flush=True)

    for name, group in (("held-out voice", voice), ("held-out sentences", sentences), ("both", clips)):
        for speech, bar in ((False, .90), (True, .86)):
            v, lag = best(group, 0, speech)
            add(f"aperture, {name}, {'speech frames' if speech else 'whole clips'}", f"r ≥ {bar:.2f} at lag 0 ± 1", f"{v:.3f} at lag {lag:+d}", v >= bar)
    for column, name in ((1, "lip width"), (2, "rounding")):
        for speech in (False, True):
            v, lag = best(clips, column, speech)
            add(f"{name}, {'speech frames' if speech else 'whole clips'}", "r ≥ 0.78", f"{v:.3f} at lag {lag:+d}", v >= .78)
    found, false, total = closures(clips)
    add(f"bilabials closed, clean ({total})", "≥ 92 %", f"{100 * found:.1f} %", found >= .92)
    add("false closures, clean", "≤ 6 %", f"{100 * false:.1f} %", false <= .06)
    found, false, total = closures(noisy)
    add("bilabials closed, 15 dB SNR", "≥ 78 %", f"{100 * found:.1f} %", found >= .78)
    add("false closures, 15 dB SNR", "(≤ 6 % clean)", f"{100 * false:.1f} %", false <= .06)
    scores = np.concatenate([c.scores for c in clips])
    add("drawn against the truth inside the mask, PSNR", "≥ 32 dB", f"{scores[:, 0].mean():.1f} dB mean, {np.percentile(scores[:, 0], 5):.1f} at the 5th percentile",
        scores[:, 0].mean() >= 32)
    add("roi against the drawn truth, SSIM", "≥ 0.95", f"{scores[:, 1].mean():.4f}", scores[:, 1].mean() >= .95)
    spoken = lambda what: np.concatenate([getattr(c, what)[c.speech, 0] for c in clips])
    ratio, spread = spoken("rendered").mean() / spoken("true").mean(), spoken("rendered").std() / spoken("true").std()
    add("opening, drawn ÷ true, speech frames", "0.9 … 1.1", f"{ratio:.2f} (its spread: {spread:.2f})", .9 <= ratio <= 1.1)
    texture = float(scores[:, 2].mean())
    add("texture inside the mask, drawn ÷ true", "0.9 … 1.1", f"{texture:.2f}", .9 <= texture <= 1.1)
    steps = np.concatenate([c.steps for c in clips])
    add("step at the mask's edge, largest of all frames", "≤ 1.1 × the template's", f"{steps.max():.3f} ×", steps.max() <= 1.1)
    top = float(np.percentile(np.concatenate([c.rendered[:, 0] for c in clips]), 99.5))
    for name, (opening, moved, own) in quiet.items():
        add(f"{name}: largest aperture", "≤ 5 % of speech", f"{100 * opening.max() / top:.1f} %", opening.max() <= .05 * top)
        add(f"{name}: mouth motion", "≤ the template's", f"{moved:.2f} against {own:.2f} grey levels a frame", moved <= own)
    if human:
        wave, levels = human
        h = metrics.recording(wave, levels[1.0])
        follows = {g: metrics.correlation(levels[g], levels[1.0]) for g in (.3, .1)}
        add("human clip: aperture follows 300–3000 Hz loudness", "r ≥ 0.65", f"{h['loudness r']:.3f}", h["loudness r"] >= .65)
        add("human clip: closed in pause cores", "≥ 88 %", f"{100 * h['closed in pauses']:.1f} % of {h['pause frames']} frames", h["closed in pauses"] >= .88)
        add("human clip: closed in loud frames", "≤ 8 %", f"{100 * h['closed when loud']:.1f} %", h["closed when loud"] <= .08)
        add("human clip at gain 0.3", "r ≥ 0.97", f"{follows[.3]:.3f}", follows[.3] >= .97)
        add("human clip at gain 0.1", "r ≥ 0.93", f"{follows[.1]:.3f}", follows[.1] >= .93)
    directions = metrics.rank(np.concatenate([c.rows for c in clips]))
    add("feature rows: directions for 99 % of the variance", "≥ 30", str(directions), directions >= 30)
    # Another sound and shuffled windows on the same template frames; the floor is what H.264 does to the template.
    inside = engine.mask > 0
    far = lambda a, b: float(np.abs(a.astype(np.int16) - b)[inside].mean())
    floor = np.mean([far(engine.template[q], pictures.draw(q, presenter.REST)) for q in range(0, presenter.LOOP_FRAMES, 25)])
    c, other = voice[0], sentences[0]
    n = min(len(c.frames), len(other.frames))
    picks = np.flatnonzero(c.speech[:n] | other.speech[:n])
    d = np.mean([far(c.frames[i], other.frames[i]) for i in picks])
    add("a different audio: mean difference inside the mask", "≥ 3 × noise floor", f"{d:.2f} against {floor:.2f}: {d / floor:.1f} ×", d >= 3 * floor)
    order = np.random.default_rng(1).permutation(picks)
    d = np.mean([far(c.frames[i], engine.frame(c.rows, int(j), reference.template_index(int(i), presenter.LOOP_FRAMES))) for i, j in list(zip(picks, order))[:60]])
    add("shuffled windows: mean difference inside the mask", "≥ 3 × noise floor", f"{d:.2f}: {d / floor:.1f} ×", d >= 3 * floor)
    return table


def page(table: Sequence[Row], manifest: dict[str, Any], clips: Sequence[Clip], shares: dict[str, Any], human: bool) -> str:
    """docs/quality.md."""
    lines = [INTRODUCTION.format(runtime=onnxruntime.__version__, clips=len(clips), frames=sum(len(c.rendered) for c in clips), closed=CLOSED),
             "| measure | bar | measured | met |", "|---|---|---|---|"]
    lines += [f"| {m} | {b} | {v} | {'yes' if ok else '**no**'} |" for m, b, v, ok in table]
    lines += ["", f"{sum(t[3] for t in table)} of {len(table)} met." + ("" if human else " The human recording was not measured in this run (`--human`)."), ""]
    lines += [PEOPLE, "| language, speaker, sex | /p b m/ closed | open vowels shut | pause frames closed |", "|---|---|---|---|"]
    cell = lambda s: f"{100 * s['share']:.1f} % of {s['of']}" if s["of"] else "none"
    lines += [f"| {name} | {' | '.join(cell(s) for s in values.values())} |" for name, values in shares.items()]
    lines += ["| bar: all | ≥ 96 % | ≤ 2 % | ≥ 95 % |", "| bar: wrong sound | ≤ 50 % | ≥ 20 % | ≤ 30 % |", ""]
    lines += [f"Training: `{json.dumps(manifest['provenance']['training'])}`.", ""]
    return "\n".join(lines)


def main() -> None:
    p = config.parser(__doc__, pictures.SETTINGS)
    p.add_argument("--human", type=Path, help="a 16 kHz mono recording of a person")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--clips", type=int, default=CLIPS, help="clips of each kind")
    p.add_argument("--out", type=Path, default=ROOT / "docs" / "quality.md")
    a = p.parse_args()
    settings = config.read(CompactConfig, a.config, a.set)
    cv2.setNumThreads(1)
    folder = settings.work / "quality"
    folder.mkdir(exist_ok=True)
    natural = [u for u in corpus.load(settings.work, "heldout_sentence") if u.natural][:a.clips]
    rms = [u for u in corpus.load(settings.work, "heldout_voice") if u.voice == "rms" and u.unseen_text][:a.clips]
    rng = np.random.default_rng(1)
    quiet_waves = {"digital silence": np.zeros(16000 * 8), "noise at −60 dB": rng.standard_normal(16000 * 20) * 1e-3}
    wave = recording(a.human) if a.human else None
    with concurrent.futures.ProcessPoolExecutor(a.jobs, multiprocessing.get_context("spawn")) as pool:
        parts = [pool.submit(run_clips, settings, part) for part in (rms, natural)]
        noisy_parts = [pool.submit(run_clips, settings, part, 15, False) for part in (rms, natural)]
        quiet_parts = {name: pool.submit(silence, settings, w) for name, w in quiet_waves.items()}
        level_parts = {g: pool.submit(openings, settings, [wave * g]) for g in (1.0, .3, .1)} if wave is not None else {}
        voice, sentences = (part.result() for part in parts)
        noisy = [c for part in noisy_parts for c in part.result()]
        quiet = {name: part.result() for name, part in quiet_parts.items()}
        human = (wave, {g: part.result()[0] for g, part in level_parts.items()}) if wave is not None else None
    for c, clean in zip(noisy, voice + sentences):
        c.true = clean.true
    shares = measure_listener.people(settings)
    table = judge(Engine(settings), voice, sentences, noisy, quiet, human)
    measure_listener.show(shares)
    for name, clip in (("voice", voice[0]), ("sentence", sentences[0])):
        sheet(clip, folder / f"{name}.png", int(np.flatnonzero(clip.speech)[0]) + 2)
    images = ROOT / "docs" / "images"
    images.mkdir(parents=True, exist_ok=True)
    portrait(settings, sentences[0], images / "robin.png")
    manifest = json.loads((settings.pack / "avatar.json").read_text(encoding="utf-8"))
    a.out.write_text(page(table, manifest, voice + sentences, shares, human is not None), encoding="utf-8")
    print(a.out)


if __name__ == "__main__":
    main()
