"""From video clips of one person to the data that `fit` trains on.

DATA/
  prepare.json          the clips and settings that this folder belongs to
  clip-1/               look.npz, sound.npy, pieces NNN.mp4 and NNN.npz (see `scan`)
  clip-1/frames.npz     boxes, marks, openings, what the ear says of the sound
  clip-1/sound.wav      speech at 16 kHz, shifted to fit the picture
  data.json             written last: the crop's size, and what was found
  report.html           all of it for people; also of clips that were refused
"""

from __future__ import annotations

import json
import shutil
import wave as wave_file
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from viseme_train import checkpoint
from viseme_train.avatar import hearing, judge, report, scan, shape
from viseme_train.avatar.face import Models, Tracker, square_around
from viseme_train.avatar.judge import Verdict
from viseme_train.avatar.progress import Progress
from viseme_train.avatar.settings import PrepareSettings
from viseme_train.avatar.video import FPS, SAMPLE_RATE, Clip, ClipError, Facts
from viseme_train.compact.train_listener import Ear

#: Of longer clips the beginning is used.
LONGEST = 600
#: A shorter clip may be too short to tell its sound's offset.
SHORT = 6
#: After so much of a clip it is judged for the first time.
EARLY = 30


@dataclass
class Work:
    """A clip on its way: what is known of it so far."""

    path: Path
    folder: Path
    facts: Facts | None = None
    #: Pictures that were looked at first, for the report.
    looks: np.ndarray | None = None
    #: Width of the face in the source's pixels.
    face: float = 0.0
    size: tuple[int, int] = (0, 0)
    refusals: tuple[str, ...] = ()
    verdict: Verdict | None = None
    boxes: np.ndarray | None = None

    def refuse(self, *reasons: str) -> None:
        self.refusals = reasons

    @property
    def name(self) -> str:
        return self.path.name


def begin(videos: Sequence[Path], data: Path, settings: PrepareSettings, force: bool) -> list[Work]:
    """The clips with their folders; a folder that belongs to other clips is left alone."""
    if missing := [str(p) for p in videos if not p.is_file()]:
        raise ClipError(f"{', '.join(missing)}: no such file")
    sources = [{"name": p.name, "bytes": p.stat().st_size, "modified": p.stat().st_mtime_ns} for p in videos]
    wanted = json.loads(json.dumps({"sources": sources, "settings": asdict(settings)}))
    note = data / "prepare.json"
    if note.exists():
        if json.loads(note.read_text(encoding="utf-8")) != wanted:
            if not force:
                raise ClipError(f"{data} was made from other clips or with other settings. Give another folder, or --force to make it anew.")
            for old in [*data.glob("clip-*"), data / "data.json", data / "report.html"]:
                shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
    elif data.exists() and any(p for p in data.iterdir() if not p.name.startswith("prepare.part")):
        raise ClipError(f"{data} is not empty and was not made by `viseme-train prepare`. Give another folder.")
    data.mkdir(parents=True, exist_ok=True)
    checkpoint.save_text(json.dumps(wanted, indent=2) + "\n", note)
    return [Work(path, data / f"clip-{k + 1}") for k, path in enumerate(videos)]


def look(work: Work, clip: Clip, models: Models, settings: PrepareSettings) -> None:
    """Looks at a few places of a clip: is there one face, large enough, that looks at the camera?"""
    facts = clip.facts
    work.facts = facts
    if not facts.sound:
        return work.refuse("There is no sound. The mouth is learned from speech and picture together: record with the microphone on.")
    if facts.rate < settings.least_rate:
        return work.refuse(f"The clip has {facts.rate:.3g} pictures a second; {settings.least_rate:.0f} are needed, 25 or more are good. A mouth moves faster.")
    note = work.folder / "look.npz"
    if not note.exists():
        side = max(facts.width, facts.height)
        scale = min(1.0, settings.largest_side / side)
        size = (round(facts.width * scale), round(facts.height * scale))
        pictures: list[np.ndarray] = []
        rows: list[tuple[float, float, float, float]] = []
        length = min(facts.seconds or LONGEST, LONGEST)
        for k in range(settings.looks):
            image = clip.at((k + 0.5) / settings.looks * length, *size)
            if image is None:
                continue
            tracker = Tracker(models)
            mesh = tracker(image)
            other = scan.second_face(tracker, image)
            if mesh is None:
                rows.append((0, 0, 0, 0))
            else:
                # An upside-down face is found as well, as a poorer one the other way round.
                turned = Tracker(models)(np.ascontiguousarray(image[::-1, ::-1]))
                roll = 180.0 if turned and turned.presence > mesh.presence else np.degrees(square_around(mesh.points).angle)
                rows.append((shape.width(mesh.points[None])[0] / scale, shape.yaw(mesh.points[None])[0], other, roll))
            pictures.append(report.small(image))
        with checkpoint.replacing(note) as scratch:
            np.savez(scratch, rows=np.array(rows).reshape(-1, 4), pictures=np.array(pictures))
    with np.load(note) as saved:
        seen, work.looks = saved["rows"], saved["pictures"]
    count = len(seen)
    if not count:
        return work.refuse("Not one picture can be decoded.")
    found = seen[seen[:, 0] > 0]
    if len(found) < 0.4 * count:
        return work.refuse(f"There is no face that looks at the camera in {count - len(found)} of {count} places of the clip. "
                           "Sit in front of the lens, lit from the front, head and shoulders in the picture.")
    if (two := int((found[:, 2] >= settings.second_face).sum())) > 0.5 * count:
        return work.refuse(f"There are two faces in {two} of {count} places. An avatar is one person: record alone, without pictures of people behind.")
    if (away := int((abs(found[:, 1]) > settings.yaw).sum())) + count - len(found) > 0.6 * count:
        return work.refuse(f"The head is turned away in {away} of {count} places. Look at the lens.")
    if (fallen := int((abs(found[:, 3]) > settings.roll).sum())) > 0.5 * count:
        return work.refuse(f"The picture lies on its side or upside down in {fallen} of {count} places. Turn the video, and save it again.")
    work.face = float(np.median(found[:, 0]))
    if work.face < settings.least_face:
        return work.refuse(f"The face is {work.face:.0f} pixels wide, {settings.least_face:.0f} are needed and 200 are good. Come nearer to the camera.")
    return None


def listen(work: Work, clip: Clip) -> np.ndarray:
    """The clip's sound, decoded once."""
    note = work.folder / "sound.npy"
    if not note.exists():
        with checkpoint.replacing(note) as scratch:
            np.save(scratch, (clip.sound()[:LONGEST * SAMPLE_RATE] * 32767).astype(np.int16))
    wave = np.load(note).astype(np.float32) / 32767
    if len(wave) == 0 or hearing.loudness(wave).max() < -65:
        work.refuse("The sound is silent. Check that the right microphone is on.")
    return wave


def choose_sizes(works: Sequence[Work], settings: PrepareSettings) -> float:
    """Frame sizes that make the face equally wide in all clips, never larger than it was filmed; gives that width."""
    def most(w: Work) -> float:
        assert w.facts
        return w.face * min(1.0, settings.largest_side / max(w.facts.width, w.facts.height))
    face = min([settings.largest_face, *(most(w) for w in works)])
    for w in works:
        assert w.facts
        # A few per cent are not worth another resampling.
        scale = face / w.face if face < 0.97 * w.face else 1.0
        w.size = (2 * round(w.facts.width * scale / 2), 2 * round(w.facts.height * scale / 2))
    return face


def early(work: Work, wave: np.ndarray, ear: Ear, settings: PrepareSettings, folder: Path) -> None:
    """After half a minute: a clip that has shown to be hopeless ends here."""
    if len(scan.pieces(folder)) != round(EARLY / settings.piece):
        return
    so_far = scan.load(folder)
    part = wave[:len(so_far["presence"]) * SAMPLE_RATE // FPS]
    assert work.facts
    verdict = judge.judge(so_far, hearing.hear(ear, part), part, work.facts.rate, work.size, None, (0, 0), 0.0, settings, partial=True)
    if verdict.refusals:
        raise ClipError(" ".join(verdict.refusals))


def shifted(wave: np.ndarray, seconds: float) -> np.ndarray:
    """The sound `seconds` later; as long as before."""
    samples = round(seconds * SAMPLE_RATE)
    if samples >= 0:
        return np.concatenate([np.zeros(samples, np.float32), wave])[:len(wave)]
    return np.concatenate([wave[-samples:], np.zeros(min(-samples, len(wave)), np.float32)])


def assess(works: Sequence[Work], waves: dict[Path, np.ndarray], ear: Ear, settings: PrepareSettings) -> tuple[int, int]:
    """Crops and verdicts of scanned clips; gives the crop's size."""
    scans = {w.path: scan.load(w.folder) for w in works}
    faces, sizes = [], []
    for w in works:
        points = scans[w.path]["points"]
        if np.isfinite(points[:, 0, 0]).sum() < FPS:
            w.refuse("There is no face in this clip for longer than a second.")
            continue
        face = float(np.nanmedian(shape.width(points)))
        faces.append(face)
        sizes.append(shape.crop_size(shape.heads(points).reference, face))
    if not faces:
        return 0, 0
    crop = max(s[0] for s in sizes), max(s[1] for s in sizes)
    usable = [w for w in works if not w.refusals]
    verdicts: dict[Path, Callable[..., Verdict]] = {}
    tracks: list[hearing.Track] = []
    for w in usable:
        found = scans[w.path]
        face = float(np.nanmedian(shape.width(found["points"])))
        w.boxes = shape.whole_pixels(shape.crop_path(shape.heads(found["points"]), crop, face))
        assert w.facts
        verdicts[w.path] = partial(judge.judge, found, source_rate=w.facts.rate, size=w.size, boxes=w.boxes, crop=crop, settings=settings)
        heard = hearing.hear(ear, waves[w.path])
        w.verdict = verdicts[w.path](heard=heard, wave=waves[w.path], corrected=0.0)
        tracks.append((heard.opening, w.verdict.aperture, w.verdict.good))
    together = hearing.agreement(tracks)
    for w in usable:
        found, wave = scans[w.path], waves[w.path]
        # A clip too short to tell has the offset of all clips together: one camera, one microphone.
        assert w.verdict
        follow = together if len(found["presence"]) < SHORT * FPS else w.verdict.follow
        offset = follow.seconds if follow.sure(settings) else 0.0
        wave = shifted(wave, offset) if abs(offset) >= settings.offset else wave
        heard = hearing.hear(ear, wave)
        w.verdict = verdicts[w.path](heard=heard, wave=wave, corrected=offset if abs(offset) >= settings.offset else 0.0)
        w.refusals = w.verdict.refusals
        count = len(found["presence"])
        rows = lambda x, count=count: np.concatenate([x, np.zeros((max(0, count - len(x)), *x.shape[1:]), x.dtype)])[:count]
        with checkpoint.replacing(w.folder / "frames.npz") as scratch:
            np.savez(scratch, boxes=w.boxes, marks=w.verdict.marks, speaking=w.verdict.speaking, aperture=w.verdict.aperture.astype(np.float32),
                     width=np.nan_to_num(shape.mouth_width(found["points"])).astype(np.float32), cuts=np.array(w.verdict.cuts, int),
                     points=found["points"], rows=rows(heard.rows), code=rows(heard.code), mouth=rows(heard.mouth))
        with checkpoint.replacing(w.folder / "sound.wav") as scratch, wave_file.open(str(scratch), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes((wave * 32767).astype("<i2").tobytes())
    return crop


def prepare(videos: Sequence[Path], data: Path, settings: PrepareSettings | None = None, force: bool = False) -> Path:
    """Does all of it, or what an earlier run left to do; gives the report's path. Clips that cannot be used raise `ClipError`, after the report was written."""
    settings = settings or PrepareSettings()
    works = begin(videos, data, settings, force)
    page = data / "report.html"
    finished = data / "data.json"
    # Another ear hears other mouths: everything but the long pass is done anew.
    if finished.exists() and json.loads(finished.read_text(encoding="utf-8"))["listener"] == checkpoint.sha256(hearing.LISTENER):
        return page
    models, ear = Models(), hearing.load()
    waves: dict[Path, np.ndarray] = {}
    for w in works:
        w.folder.mkdir(exist_ok=True)
        try:
            with Clip(w.path) as clip:
                look(w, clip, models, settings)
                if not w.refusals:
                    waves[w.path] = listen(w, clip)
        except ClipError as error:
            w.refuse(str(error))
    usable = [w for w in works if not w.refusals]
    seconds = sum(min(w.facts.seconds, LONGEST) for w in usable if w.facts)
    if usable and 0 < seconds < settings.least_speech:
        for w in usable:
            w.refuse(f"{seconds:.1f} s are too short: {settings.least_speech:.0f} s of speech are the least, 30 s and more are good.")
        usable = []
    if usable:
        choose_sizes(usable, settings)
        progress = Progress("prepare", round(seconds * FPS), sum(np.load(p)["presence"].shape[0] for w in usable for p in scan.pieces(w.folder)))
        for w in usable:
            try:
                with Clip(w.path) as clip:
                    scan.scan(clip, w.folder, w.size, models, settings, LONGEST * FPS, partial(progress.advance, note=w.name),
                              partial(early, w, waves[w.path], ear, settings))
            except ClipError as error:
                w.refuse(str(error))
        usable = [w for w in usable if not w.refusals]
        if usable:
            progress.finish()
    crop = assess(usable, waves, ear, settings) if usable else (0, 0)
    usable = [w for w in usable if not w.refusals]
    speech = sum(float((w.verdict.speaking & w.verdict.good).sum()) for w in usable if w.verdict) / FPS
    refused = ""
    if not usable:
        refused = "No clip can be used."
    elif speech < settings.least_speech:
        refused = f"There are {speech:.1f} s of speech in good frames; {settings.least_speech:.0f} s are the least, 30 s and more are good."
    report.write(page, works, crop, refused, settings)
    if refused:
        reasons = "".join(f"\n  {w.name}: {' '.join(w.refusals or (w.verdict.advice if w.verdict else ()))}" for w in works)
        raise ClipError(f"{refused}{reasons}\nReport: {page}")
    checkpoint.save_text(json.dumps({
        "format": 1, "crop": list(crop), "fps": FPS, "sampleRate": SAMPLE_RATE, "listener": checkpoint.sha256(hearing.LISTENER), "speechSeconds": speech,
        "clips": [summary(w) for w in works]}, indent=2) + "\n", finished)
    return page


def summary(w: Work) -> dict[str, object]:
    """What `data.json` says of a clip."""
    said: dict[str, object] = {"folder": w.folder.name, "source": asdict(w.facts) if w.facts else {"name": w.name}, "refused": list(w.refusals)}
    if (v := w.verdict) and not w.refusals:
        said |= {"size": list(w.size), "frames": len(v.marks), "good": int(v.good.sum()), "speaking": int((v.good & v.speaking).sum()),
                 "found": round(float(((v.marks & judge.NO_FACE) == 0).mean()), 4), "soundDelayed": round(v.corrected, 3),
                 "follow": {"r": round(v.follow.r, 3), "chance": round(v.follow.chance, 3)}, "cuts": list(v.cuts), "advice": list(v.advice)}
    return said
