"""Measures the exported pack against the bars and writes docs/quality.md.

    python quality.py [--human CLIP.wav] [--quick]

The pack is run through the contract's Python reference with ONNX Runtime, on speech whose voice or sentence was held out.
Opening, width and rounding are measured from pixels of the rendered roi, and from the roi drawn with the true mouth on the same
template pose. Contact sheets go to $VISEME_TRAINING_WORK/quality.
"""
from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

import dataset
import presenter
from viseme_train import config, corpus, metrics, reference
from viseme_train import mouth as mouth_model
from viseme_train.config import Config
from viseme_train.corpus import Utterance
from viseme_train.phonemes import Phone

ROOT = Path(__file__).resolve().parents[3]
CLOSED = 1.5              # roi pixels: less opening than this is a closed mouth
Clip = dict[str, Any]


class Engine:
    """The pack, run as the contract says."""

    def __init__(self, settings: Config) -> None:
        o = onnxruntime.SessionOptions()
        o.intra_op_num_threads = 1
        self.encoder, self.generator = (onnxruntime.InferenceSession(str(settings.pack / name), o, providers=["CPUExecutionProvider"])
                                        for name in ("audio_encoder.onnx", "generator.onnx"))
        self.rois = dataset.template_crops(settings)[:, 4:324, 4:324]

    def rows(self, wave: np.ndarray) -> np.ndarray:
        windows = reference.windows(reference.mel(wave))
        return reference.audio_rows(np.concatenate([self.encoder.run(None, {"mel": np.ascontiguousarray(windows[i:i + 64, None])})[0] for i in range(0, len(windows), 64)]))

    def frame(self, rows: np.ndarray, i: int, pose: int | None = None) -> np.ndarray:
        pose = reference.template_index(i, len(self.rois)) if pose is None else pose
        image = reference.generator_input(np.ascontiguousarray(self.rois[pose]))[None]
        return reference.to_bytes(self.generator.run(None, {"image": image, "audio": reference.feature_window(rows, i)[None]})[0][0])

    def render(self, wave: np.ndarray, keep: bool = False) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
        """Measures (frames, 3), and the rois when kept."""
        rows = self.rows(wave)
        frames, measured = [], []
        for i in range(reference.frame_count(len(wave))):
            frame = self.frame(rows, i)
            measured.append(presenter.measure(frame))
            if keep:
                frames.append(frame)
        return np.array(measured), frames, rows


def best(clips: Sequence[Clip], column: int, speech_only: bool = False) -> tuple[float, int]:
    """(r, lag) of rendered against true over all clips, the lag of -1, 0, 1 that fits best; positive: the picture is late."""
    found = []
    for lag in (-1, 0, 1):
        a, b = [], []
        for c in clips:
            x, y, s = c["rendered"][:, column], c["true"][:, column], c["speech"]
            n = len(x)
            k = np.arange(max(0, -lag), n - max(0, lag))
            k = k[s[k]] if speech_only else k
            a.append(x[k + lag])
            b.append(y[k])
        found.append((metrics.correlation(np.concatenate(a), np.concatenate(b)), lag))
    return max(found)


def speech_clip(u: Utterance, snr: float | None, rng: np.random.Generator) -> tuple[np.ndarray, list[Phone]]:
    voice = u.wave16k * (.5 / np.abs(u.wave16k).max())
    wave = np.concatenate([np.zeros(6400), voice, np.zeros(6400)])
    phones = [(i, s + .4, e + .4) for i, s, e in u.phones]
    if snr is not None:
        wave = wave + rng.standard_normal(len(wave)) * np.sqrt((voice ** 2).mean()) * 10 ** (-snr / 20)
    return wave, phones


def run_clips(settings: Config, items: Sequence[Utterance], snr: float | None = None, pictures: bool = True) -> list[Clip]:
    """Renders and measures; without `pictures` neither frames nor the drawn truth are kept (noise does not change the truth)."""
    engine = Engine(settings)
    rng = np.random.default_rng(3)
    out = []
    for u in items:
        wave, phones = speech_clip(u, snr, rng)
        track = mouth_model.track(phones, len(wave))
        rendered, frames, rows = engine.render(wave, keep=pictures)
        true, scores = [], []
        for i in range(len(rendered) if pictures else 0):
            drawn = dataset.drawn_roi(reference.template_index(i, presenter.LOOP_FRAMES), track[i])
            true.append(presenter.measure(drawn))
            if pictures and i % 3 == 0:
                scores.append((metrics.psnr(frames[i], drawn), metrics.ssim(frames[i], drawn)))
        out.append(dict(rendered=rendered, true=np.array(true), speech=mouth_model.classes(phones, len(wave)) != 0, phones=phones, rows=rows,
                        scores=np.array(scores), frames=frames, track=track, id=u.id))
    return out


def closures(clips: Sequence[Clip]) -> tuple[float, float, int]:
    """(share of bilabials found closed, share of false closures, bilabials)."""
    counts = sum((metrics.closures(c["rendered"][:, 0], c["true"][:, 0], c["speech"], c["phones"], CLOSED, 3 * CLOSED) for c in clips), np.zeros(4, int))
    return counts[0] / max(1, counts[1]), counts[2] / max(1, counts[3]), int(counts[1])


def box(f: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = presenter.BOX
    return f[y1:y2, x1:x2].astype(np.float32)


def motion(frames: Sequence[np.ndarray]) -> float:
    return float(np.mean([np.abs(box(a) - box(b)).mean() for a, b in zip(frames, frames[1:])]))


def silence(settings: Config, wave: np.ndarray) -> tuple[np.ndarray, float, float]:
    engine = Engine(settings)
    measured, frames, _ = engine.render(wave, keep=True)
    own = [engine.rois[reference.template_index(i, len(engine.rois))] for i in range(len(frames))]
    return measured[:, 0], motion(frames), motion(own)


def recording(path: Path) -> np.ndarray:
    import soundfile

    wave, rate = soundfile.read(path)
    if rate != 16000 or wave.ndim != 1:
        raise SystemExit(f"{path}: {rate} Hz, shape {wave.shape}; a 16 kHz mono recording is wanted")
    return wave


def level(settings: Config, path: Path, gain: float) -> np.ndarray:
    """Apertures of a human clip at a gain."""
    return Engine(settings).render(recording(path) * gain)[0][:, 0]


def sheet(clip: Clip, path: Path, start: int, count: int = 10, step: int = 2) -> None:
    columns = []
    for i in range(start, min(start + count * step, len(clip["frames"])), step):
        drawn = dataset.drawn_roi(reference.template_index(i, presenter.LOOP_FRAMES), clip["track"][i])
        columns.append(np.concatenate([clip["frames"][i], drawn])[:, 40:280])
    cv2.imwrite(str(path), cv2.resize(np.concatenate(columns, 1), None, fx=.6, fy=.6, interpolation=cv2.INTER_AREA))


def portrait(settings: Config, clip: Clip, path: Path) -> None:
    """The picture of the README: a rendered frame and a strip of moments, at most 300 KB."""
    opening = clip["rendered"][:, 0]
    frames, squares = dataset.template_frames(settings), dataset.squares(settings)

    def whole(i: int) -> np.ndarray:
        k = reference.template_index(i, len(frames))
        return reference.paste(frames[k], squares[k], reference.crop328(frames[k], squares[k]), clip["frames"][i])

    order = np.argsort(opening)
    main = whole(int(order[int(len(order) * .93)]))
    voiced = np.flatnonzero(clip["speech"])
    picks = voiced[np.linspace(3, len(voiced) - 4, 6).astype(int)]
    strip = [whole(int(i))[60:620, 400:900] for i in picks]
    for size in (960, 880, 800, 720, 640, 560):
        top = cv2.resize(main, (size, size * 9 // 16), interpolation=cv2.INTER_AREA)
        edges = np.linspace(0, size, 7).astype(int)
        tiles = [cv2.resize(t, (b - a, size // 6 * 56 // 50), interpolation=cv2.INTER_AREA) for t, a, b in zip(strip, edges, edges[1:])]
        cv2.imwrite(str(path), np.concatenate([top, np.concatenate(tiles, 1)]), [cv2.IMWRITE_PNG_COMPRESSION, 9])
        if path.stat().st_size <= 300_000:
            break


def main() -> None:
    p = config.parser(__doc__, dataset.SETTINGS)
    p.add_argument("--human", type=Path, help="a 16 kHz mono recording of a person")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--clips", type=int, default=8, help="clips of each kind")
    a = p.parse_args()
    settings = config.chosen(a)
    cv2.setNumThreads(1)
    engine = Engine(settings)
    folder = settings.work / "quality"
    folder.mkdir(exist_ok=True)
    unseen = corpus.load(settings.work, "heldout_sentence")
    natural = [u for u in unseen if u.natural]
    rms = [u for u in corpus.load(settings.work, "heldout_voice") if u.voice == "rms" and u.unseen_text]
    k = 3 if a.quick else a.clips
    rng = np.random.default_rng(1)
    seconds = 6 if a.quick else 20
    quiet = {"digital silence": np.zeros(16000 * min(seconds, 8)), "noise at −60 dB": rng.standard_normal(16000 * seconds) * 1e-3}
    with concurrent.futures.ProcessPoolExecutor(a.jobs, multiprocessing.get_context("spawn")) as pool:
        levels = {g: pool.submit(level, settings, a.human, g) for g in (1.0, .3, .1)} if a.human else {}
        parts = [pool.submit(run_clips, settings, part) for part in (rms[:k], natural[:k])]
        noisy_parts = [pool.submit(run_clips, settings, part, 15, False) for part in (rms[:k], natural[:k])]
        quiet_parts = {name: pool.submit(silence, settings, wave) for name, wave in quiet.items()}
        voice, sentences = (part.result() for part in parts)
        noisy = [c for part in noisy_parts for c in part.result()]
        quiet_results = {name: part.result() for name, part in quiet_parts.items()}
        levels = {g: part.result() for g, part in levels.items()}
    clips = voice + sentences
    for c, clean in zip(noisy, clips):
        c["true"] = clean["true"]
    rows_table: list[tuple[str, str, str, bool]] = []

    def add(measure: str, bar: str, value: str, passed: bool) -> None:
        rows_table.append((measure, bar, value, passed))
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
    scores = np.concatenate([c["scores"] for c in clips])
    add("roi against the drawn truth, PSNR", "≥ 32 dB", f"{scores[:, 0].mean():.1f} dB mean, {np.percentile(scores[:, 0], 5):.1f} at the 5th percentile", scores[:, 0].mean() >= 32)
    add("roi against the drawn truth, SSIM", "≥ 0.95", f"{scores[:, 1].mean():.4f}", scores[:, 1].mean() >= .95)
    top = float(np.percentile(np.concatenate([c["rendered"][:, 0] for c in clips]), 99.5))
    for name, (opening, moved, own) in quiet_results.items():
        add(f"{name}: largest aperture", "≤ 5 % of speech", f"{100 * opening.max() / top:.1f} %", opening.max() <= .05 * top)
        add(f"{name}: mouth motion", "≤ the template's", f"{moved:.2f} against {own:.2f} grey levels a frame", moved <= own * 1.0)
    if a.human:
        h = metrics.recording(recording(a.human), levels[1.0])
        follows = {g: metrics.correlation(levels[g], levels[1.0]) for g in (.3, .1)}
        add("human clip: aperture follows 300–3000 Hz loudness", "r ≥ 0.65", f"{h['loudness r']:.3f}", h["loudness r"] >= .65)
        add("human clip: closed in pause cores", "≥ 88 %", f"{100 * h['closed in pauses']:.1f} % of {h['pause frames']} frames", h["closed in pauses"] >= .88)
        add("human clip: closed in loud frames", "≤ 8 %", f"{100 * h['closed when loud']:.1f} %", h["closed when loud"] <= .08)
        add("human clip at gain 0.3", "r ≥ 0.97", f"{follows[.3]:.3f}", follows[.3] >= .97)
        add("human clip at gain 0.1", "r ≥ 0.93", f"{follows[.1]:.3f}", follows[.1] >= .93)
    directions = metrics.rank(np.concatenate([c["rows"] for c in clips]))
    add("feature rows: directions for 99 % of the variance", "≥ 30", str(directions), directions >= 30)
    # a different audio and shuffled windows, on the same template frames; the floor is what H.264 does to the template
    c, other = clips[0], clips[k]
    n = min(len(c["frames"]), len(other["frames"]))
    picks = np.flatnonzero(c["speech"][:n] | other["speech"][:n])
    floor = np.mean([np.abs(box(engine.rois[q]) - box(dataset.drawn_roi(q, presenter.REST))).mean() for q in range(0, presenter.LOOP_FRAMES, 25)])
    d = np.mean([np.abs(box(c["frames"][i]) - box(other["frames"][i])).mean() for i in picks])
    add("a different audio: mean difference in the mouth box", "≥ 3 × noise floor", f"{d:.2f} against {floor:.2f}: {d / floor:.1f} ×", d >= 3 * floor)
    order = rng.permutation(picks)
    d = np.mean([np.abs(box(c["frames"][i]) - box(engine.frame(c["rows"], int(j), reference.template_index(int(i), presenter.LOOP_FRAMES)))).mean()
                 for i, j in list(zip(picks, order))[:60]])
    add("shuffled windows: mean difference in the mouth box", "≥ 3 × noise floor", f"{d:.2f}: {d / floor:.1f} ×", d >= 3 * floor)
    for name, clip in (("voice", voice[0]), ("sentence", sentences[0])):
        sheet(clip, folder / f"{name}.png", int(np.flatnonzero(clip["speech"])[0]) + 2)
    manifest = json.loads((settings.pack / "avatar.json").read_text())
    images = ROOT / "docs" / "images"
    images.mkdir(parents=True, exist_ok=True)
    portrait(settings, sentences[0], images / "robin.png")
    write(rows_table, manifest, len(clips), sum(len(c["rendered"]) for c in clips), bool(a.human))


def write(table: Sequence[tuple[str, str, str, bool]], manifest: dict[str, Any], clips: int, frames: int, with_human: bool) -> None:
    training = manifest["provenance"]["training"]
    lines = ["# Quality of the default avatar", "",
             f"Measured by `training/recipes/robin/quality.py` on the exported pack, through the Python reference and ONNX Runtime {onnxruntime.__version__}. Speech:",
             f"{clips} clips, {frames} frames, of a voice",
             "that training never heard (flite rms, unseen sentences) and of sentences that training never heard (flite slt and awb, festival slt-hts). The truth is the drawing",
             "with the true mouth on the template's own pose. Opening, width and rounding are measured from pixels of the roi (`presenter.measure`); a mouth",
             f"with less than {CLOSED} roi pixels of opening counts as closed. A positive lag means that the picture is late.", ""]
    if not training.get("complete"):
        lines += ["**These are figures of an unfinished training.**", ""]
    lines += ["| measure | bar | measured | met |", "|---|---|---|---|"]
    lines += [f"| {m} | {b} | {v} | {'yes' if ok else '**no**'} |" for m, b, v, ok in table]
    lines += ["", f"{sum(t[3] for t in table)} of {len(table)} met." + ("" if with_human else " The human recording was not measured in this run (`--human`)."), "",
              f"Generator channels {manifest['provenance']['generatorChannels']}; training: `{json.dumps(training.get('phases', training))}`.", ""]
    path = ROOT / "docs" / "quality.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines))
    print(path)


if __name__ == "__main__":
    main()
