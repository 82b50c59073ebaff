"""From a training to an avatar pack: `viseme-train pack DATA RUN OUT.avatar`.

The template is the quietest stretch of the clips, played there and back. Where the mouth is open in it the generator itself closes it, so clips without
a listening half work as well. A pack that `viseme doctor` finds wanting, or whose mouth `viseme report` finds poor, does not get its name.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from viseme_train import checkpoint
from viseme_train.avatar import judge, material, reenact, scan, video
from viseme_train.avatar.fit import LISTENER
from viseme_train.avatar.lips import PersonCode
from viseme_train.avatar.settings import FitSettings, PrepareSettings
from viseme_train.avatar.video import FPS, ClipError
from viseme_train.compact import export
from viseme_train.compact.train_painter import Hand

#: Frames of a template, least and most; shorter ones are taken where there is nothing longer.
SHORTEST, LEAST, MOST = 3 * FPS, 8 * FPS, 20 * FPS


@dataclass(frozen=True)
class Consent:
    """What the depicted person agreed to."""

    name: str
    licence: str
    who: str
    use: str
    until: str

    def statement(self) -> str:
        return f"{self.who} agreed to this avatar of themselves. Use: {self.use}. Until: {self.until}."


@dataclass(frozen=True)
class Packing:
    """Where `export` reads and writes."""

    checkpoints: Path
    pack: Path
    #: A person's painter was trained on what the listener says as it is.
    press: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Loop:
    """Frames first … first + count − 1 of a clip."""

    folder: Path
    first: int
    count: int
    boxes: np.ndarray
    open: np.ndarray


def find_loop(data: Path) -> Loop:
    """The quietest stretch of good frames: lips together, a head that hardly moves, and least of all at both ends, where playback turns round."""
    best: tuple[float, Loop] | None = None
    for folder in material.prepared(data)[1]:
        with np.load(folder / "frames.npz") as saved:
            marks, boxes, aperture, points = saved["marks"], saved["boxes"], saved["aperture"], saved["points"]
        nose = points[:, 4, :2] / max(1.0, float(np.nanmedian(np.ptp(points[..., 0], axis=1))))
        speed = np.linalg.norm(np.gradient(np.nan_to_num(nose), axis=0), axis=1)
        for first, length in judge.runs(marks == 0):
            if length < SHORTEST:
                continue
            count = min(length, MOST)
            for start in range(first, first + length - count + 1, 5):
                here = slice(start, start + count)
                ends = speed[start:start + 3].mean() + speed[start + count - 3:start + count].mean()
                # A short template is dull: each missing second counts like a slightly open mouth.
                score = aperture[here].mean() + 4 * speed[here].mean() + 2 * ends + 0.01 * max(0, LEAST - count) / FPS
                if best is None or score < best[0]:
                    best = score, Loop(folder, start, count, boxes[here], aperture[here] > PrepareSettings().closed)
    if best is None:
        raise ClipError(f"There is no stretch of {SHORTEST / FPS:.0f} s of good frames for the template. Record {LEAST / FPS:.0f} s of listening.")
    return best[1]


def template_frames(loop: Loop, hand: Hand, closed: torch.Tensor, mask: np.ndarray) -> Iterator[np.ndarray]:
    """The loop's frames; where the mouth is open anywhere, all are drawn with a closed one, so that nothing switches."""
    height, width = mask.shape
    for k, image in scan.frames(loop.folder, range(loop.first, loop.first + loop.count).__contains__):
        picture = image.copy()
        if loop.open.mean() > 0.05:
            x, y = (int(v) for v in loop.boxes[k - loop.first])
            roi = picture[y:y + height, x:x + width]
            with torch.inference_mode():
                drawn = hand(torch.from_numpy(export.image_input(roi, mask))[None], closed[None])[0].numpy()
            picture[y:y + height, x:x + width] = export.blend(roi, drawn, mask)
        yield picture


def check_first(out: Path, program: str | None, force: bool) -> None:
    """What can be told before any work is done."""
    if out.suffix != ".avatar":
        raise ClipError(f"{out}: a pack's name ends with .avatar")
    if out.exists() and not force:
        raise ClipError(f"{out} exists. Give another name, or --force.")
    if program is None:
        raise ClipError("`viseme` was not found, and a pack is checked with it before it gets its name. Build it, and give --viseme PATH.")


def pack(data: Path, run: Path, out: Path, consent: Consent, program: str | None, force: bool = False, poor: bool = False) -> str:
    """Writes the pack under another name, lets `viseme doctor` and `viseme report` look at it, and renames it; gives what they said.

    Args:
        poor: Whether it gets its name even if a figure of the report is poor.
    """
    check_first(out, program, force)
    assert program
    weights = run / "best.pth"
    if not weights.exists():
        raise ClipError(f"{run} has no best.pth: nothing was trained and measured there. Run `viseme-train fit {data} {run}` first.")
    scratch = out.with_name(f"{out.stem}.partial-{os.getpid()}.avatar")

    def refuse(why: str) -> ClipError:
        kept = run / "refused.avatar"
        shutil.rmtree(kept, ignore_errors=True)
        os.replace(scratch, kept)
        return ClipError(f"{why}\nThe pack is now {kept}.")

    try:
        write(data, run, weights, scratch, consent)
        checked = subprocess.run([program, "doctor", str(scratch)], capture_output=True, text=True, check=False)
        if checked.returncode != 0:
            raise refuse(f"`viseme doctor` refused the pack:\n{checked.stdout}{checked.stderr}")
        faults = reenact.report(program, scratch, data, run, FitSettings())
        if faults and not poor:
            raise refuse(f"{faults}\nPeople will see that: {run / 'report.html'} shows it. Train longer or record more; --poor gives the pack its name all the same.")
        if out.exists():
            shutil.rmtree(out)
        os.replace(scratch, out)
        return f"{checked.stdout}{faults}\nreport: {run / 'report.html'}"
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write(data: Path, run: Path, weights: Path, folder: Path, consent: Consent) -> None:
    """All files of a pack."""
    note = json.loads((data / "data.json").read_text(encoding="utf-8"))
    with np.load(run / "mask.npz") as saved:
        mask = saved["mask"]
    code = PersonCode()
    hand = Hand(code, (mask.shape[1], mask.shape[0]))
    hand.load_state_dict(checkpoint.load(weights), strict=True)
    loop = find_loop(data)
    folder.mkdir(parents=True)
    video.write(template_frames(loop, hand.eval(), code.closed, mask), folder / "template.mp4")
    height, width = mask.shape
    rois = []
    size = (0, 0)
    for image, (x, y) in zip(video.read(folder / "template.mp4"), loop.boxes):
        rois.append(image[y:y + height, x:x + width])
        size = image.shape[1], image.shape[0]
    if len(rois) != loop.count:
        raise ClipError(f"the template has {len(rois)} frames, expected {loop.count}: the prepared data is damaged, make it anew")
    models = run / "pack"
    models.mkdir(exist_ok=True)
    shutil.copyfile(weights, models / "painter.pth")
    shutil.copyfile(run / LISTENER, models / "listener.pth")
    written = export.write(Packing(models, folder), np.stack(rois), mask, hand)
    written["provenance"] |= {
        "trainingData": "Clips of the depicted person: " + ", ".join(c["source"].get("sha256", "?") for c in note["clips"] if not c["refused"]),
        "training": json.loads((run / "painter.json").read_text(encoding="utf-8")),
        "figures": json.loads((run / "figures.json").read_text(encoding="utf-8")) if (run / "figures.json").exists() else {}}
    squares = [[int(x), int(y), int(x) + width, int(y) + height] for x, y in loop.boxes]
    checkpoint.save_text(json.dumps({"squares": squares}, separators=(",", ":")) + "\n", folder / "crops.json")
    crop = [width, height]
    manifest = {
        "format": 1, "name": consent.name, "fps": FPS, "width": size[0], "height": size[1], "frames": loop.count, "template": "template.mp4",
        "crops": "crops.json", "templateOrder": "ping-pong", "geometry": {"crop": crop, "roi": crop, "border": 0}, "colourOrder": "BGR", "valueRange": [0, 1],
        "idle": [0, loop.count], "licence": consent.licence, "consent": consent.statement(), "synthetic": False, **written}
    checkpoint.save_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", folder / "avatar.json")
