"""Compares `viseme report` with the training's own measures on the same frames and references.

    viseme report --avatar PACK --video CLIP.mp4 -o r.html --json r.json      CLIP.mp4 at 25 frames a second, of the template's size
    python Tests/Fixtures/report_parity.py PACK CLIP.mp4 r.json --sound CLIP.wav [--frames 40]

Everything is done once more in Python with `viseme_train.avatar`: landmarks, heads, crops, pairs of target and reference, drawing, texture, steps. Only the
choice of references is taken from the report. Exit status 1 when a figure differs by more than a hundredth.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import soundfile
import soxr

from viseme_train import metrics
from viseme_train.avatar import material, measure, shape, video
from viseme_train.avatar.face import VARIATIONS, Models, Tracker, square_around
from viseme_train.compact import export, front_end


def landmarks(images: list[np.ndarray], models: Models) -> np.ndarray:
    tracker = Tracker(models)
    meshes = [tracker(image) for image in images]
    assert all(meshes), "a frame without a face"
    return np.stack([m.points for m in meshes if m])


def windows_of(sound: Path, encoder: onnxruntime.InferenceSession, count: int) -> np.ndarray:
    wave, rate = soundfile.read(sound, dtype="float32", always_2d=True)
    speech = soxr.resample(wave.mean(1), rate, 16000) if rate != 16000 else wave.mean(1)
    rows = encoder.run(None, {"mel": front_end.windows(front_end.mel(speech.astype(np.float32)))})[0]
    return np.stack([front_end.feature_window(rows, k) for k in range(count)])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("report", type=Path)
    parser.add_argument("--sound", type=Path, required=True, help="the clip's sound as WAV, so that one decoder's delay is no difference")
    parser.add_argument("--frames", type=int, default=40)
    a = parser.parse_args()
    said = json.loads(a.report.read_text())
    rows = said["frames"][:: max(1, len(said["frames"]) // a.frames)]
    manifest = json.loads((a.pack / "avatar.json").read_text())
    squares = json.loads((a.pack / "crops.json").read_text())["squares"]
    mask = np.frombuffer((a.pack / "mask.pgm").read_bytes()[-manifest["geometry"]["roi"][0] * manifest["geometry"]["roi"][1]:], np.uint8)
    width, height = manifest["geometry"]["roi"]
    mask = mask.reshape(height, width)
    models = Models()
    template, clip = list(video.read(a.pack / "template.mp4")), list(video.read(a.clip))
    step = -(-len(template) // 250)
    seen, filmed = landmarks(template[::step], models), landmarks(clip, models)
    both = shape.heads(np.concatenate([seen, filmed]))  # one shape for both
    own, clip_gain, clip_place = len(seen), both.gain[len(seen):], both.place[len(seen):]
    corners = np.array([[s[0] + s[2], s[1] + s[3]] for s in squares[::step]]) / 2
    middle = np.median(((corners[:, 0] + 1j * corners[:, 1]) - both.place[:own]) / both.gain[:own])
    path = clip_gain * middle + clip_place
    from scipy import ndimage
    smooth = ndimage.gaussian_filter1d(np.stack([path.real, path.imag], 1), shape.SMOOTHING, axis=0, mode="nearest") - np.array([width, height]) / 2
    boxes = shape.whole_pixels(smooth)
    session = lambda name: onnxruntime.InferenceSession(str(a.pack / name), providers=["CPUExecutionProvider"])
    generator, windows = session("generator.onnx"), windows_of(a.sound, session("audio_encoder.onnx"), len(clip))
    numbers = [r["frame"] for r in said["frames"]]
    lips = np.median(np.stack([filmed[k][list(material.LIPS), :2] - boxes[k] for k in numbers]), 0)
    place = cv2.fillConvexPoly(np.zeros(mask.shape, np.uint8), cv2.convexHull(lips.round().astype(np.int32)), 1)
    mouth, inner = cv2.dilate(place, np.ones((15, 15), np.uint8)) > 0, mask > 0
    found: dict[str, list[float]] = {key: [] for key in ("filmedOpening", "drawnOpening", "filmedWidth", "drawnWidth", "squaredError", "filmedTexture", "drawnTexture",
                                                         "filmedStep", "drawnStep")}
    for row in rows:
        k, r = row["frame"], row["reference"]
        x, y = boxes[k]
        frame = clip[k]
        wanted = frame[y:y + height, x:x + width]
        gain = clip_gain[k] / both.gain[r // step]
        move = clip_place[k] - gain * both.place[r // step]
        into = np.array([[gain.real, -gain.imag, move.real - x], [gain.imag, gain.real, move.imag - y]])
        given = cv2.warpAffine(template[r], into, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        share = mask[..., None].astype(np.float32) / 255
        given = np.round(wanted + (given.astype(np.float32) - wanted) * share).astype(np.uint8)
        drawn = generator.run(None, {"image": export.image_input(given, mask)[None], "audio": windows[k][None]})[0][0]
        picture = export.blend(given, drawn, mask)
        image = frame.copy()
        image[y:y + height, x:x + width] = picture
        square = square_around(filmed[k])
        for name, shown in (("filmed", frame), ("drawn", image)):
            points = np.mean([m.points for m in models.meshes(shown, [square.varied(*v) for v in VARIATIONS])], 0)[None]
            found[f"{name}Opening"].append(float(shape.aperture(points)[0]))
            found[f"{name}Width"].append(float(shape.mouth_width(points)[0]))
        for name, crop in (("filmed", wanted), ("drawn", picture)):
            found[f"{name}Texture"].append(measure.texture(crop, mouth))
            found[f"{name}Step"].append(measure.edge_step(crop, mask))
        found["squaredError"].append(float(((picture.astype(np.float32) - wanted)[inner] ** 2).mean()))
    figures = lambda f: {
        "r of the opening": metrics.correlation(np.array(f["drawnOpening"]), np.array(f["filmedOpening"])),
        "r of the width": metrics.correlation(np.array(f["drawnWidth"]), np.array(f["filmedWidth"])),
        "opening ratio": np.mean(f["drawnOpening"]) / np.mean(f["filmedOpening"]), "spread ratio": np.std(f["drawnOpening"]) / np.std(f["filmedOpening"]),
        "texture ratio": np.mean(f["drawnTexture"]) / np.mean(f["filmedTexture"]), "step ratio": np.mean(f["drawnStep"]) / np.mean(f["filmedStep"]),
        "PSNR": 10 * np.log10(255 ** 2 / np.mean(f["squaredError"]))}
    swift, python = figures({key: [r[key] for r in rows] for key in found}), figures(found)
    worst = 0.0
    for name, value in python.items():
        apart = abs(swift[name] / value - 1)
        worst = max(worst, apart)
        print(f"{name:18} report {swift[name]:.4f}, training {value:.4f}, {100 * apart:.2f} %")
    print(f"{len(rows)} frames; largest difference {100 * worst:.2f} %")
    raise SystemExit(worst > 0.01)


if __name__ == "__main__":
    main()
