"""`viseme-train prepare` on a speaking robin and on what cannot become an avatar."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import clips
from clips import EMPTY, HAND, SHORT, SIZE, Speech
from viseme_train import checkpoint, cli
from viseme_train.avatar import face, hearing, judge, scan, shape, video
from viseme_train.avatar.face import Models, Tracker
from viseme_train.avatar.prepare import prepare
from viseme_train.avatar.settings import PrepareSettings
from viseme_train.avatar.video import Clip, ClipError


def test_the_face_models_are_those_of_the_notice() -> None:
    notice = (clips.ROOT / "NOTICE").read_text(encoding="utf-8")
    for name in (face.DETECTOR, face.LANDMARKS):
        assert f"{name}, SHA-256 {checkpoint.sha256(face.MODELS / name)}" in notice


def test_good_frames_are_told_from_bad_ones(data: Path) -> None:
    said = json.loads((data / "data.json").read_text(encoding="utf-8"))
    (clip,) = said["clips"]
    assert clip["frames"] == 221
    with np.load(data / "clip-1" / "frames.npz") as frames:
        marks, boxes = frames["marks"], frames["boxes"]
    assert np.flatnonzero(marks & judge.NO_FACE).tolist() == list(range(EMPTY.start, EMPTY.stop))
    hand = np.flatnonzero(marks & judge.COVERED)
    assert set(range(HAND.start + 2, HAND.stop - 2)) <= set(hand.tolist()) <= set(range(HAND.start - 2, HAND.stop + 2))
    assert (marks == 0).sum() > 180
    width, height = said["crop"]
    assert width % 16 == height % 16 == 0
    assert (boxes >= 0).all()
    assert (boxes + [width, height] <= clip["size"]).all()


def test_late_sound_is_put_right(data: Path, robin: Speech) -> None:
    (clip,) = json.loads((data / "data.json").read_text(encoding="utf-8"))["clips"]
    # AAC begins with 64 ms of silence that its file takes off again.
    assert clip["soundDelayed"] == pytest.approx(-0.12, abs=0.015)
    assert clip["follow"]["r"] > 0.8 > 0.4 > clip["follow"]["chance"]
    # The sound itself is where robin says it, and the mouths that are trained on are those of her own speech.
    moved = np.frombuffer((data / "clip-1" / "sound.wav").read_bytes()[44:], "<i2").astype(np.float32)
    spoken, reach = robin[1][16000:48000], 4000
    lag = int(np.correlate(moved[16000 - reach:48000 + reach], spoken).argmax()) - reach
    assert abs(lag) < 0.015 * video.SAMPLE_RATE
    with np.load(data / "clip-1" / "frames.npz") as frames:
        assert np.corrcoef(frames["mouth"][30:200, 0], hearing.hear(hearing.load(), robin[1]).mouth[30:200, 0])[0, 1] > 0.95


def test_the_report_needs_no_network(data: Path) -> None:
    page = (data / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=\"(?!data:)|url\(|https?://", page)
    for words in ("something before the mouth", "no face", "moved forward by 1", "s of speech", "data:image/jpeg"):
        assert words in page


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_the_same(spoiled: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    program = ("import sys; from pathlib import Path; from viseme_train.avatar.prepare import prepare; from viseme_train.avatar.settings import PrepareSettings; "
               "prepare([Path(sys.argv[1])], Path(sys.argv[2]), PrepareSettings(least_speech=6))")
    run = subprocess.Popen([sys.executable, "-c", program, str(spoiled), str(folder)], cwd=clips.ROOT / "training", stderr=subprocess.PIPE,
                           env=os.environ | {"OMP_NUM_THREADS": "1"})
    while run.poll() is None and not (folder / "clip-1" / "000.npz").exists():
        time.sleep(0.02)
    assert run.poll() is None, "it ended before it could be killed"
    time.sleep(0.3)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert not (folder / "data.json").exists()
    first = (folder / "clip-1" / "000.npz").stat().st_mtime_ns
    prepare([spoiled], folder, SHORT)
    assert (folder / "clip-1" / "000.npz").stat().st_mtime_ns == first
    with np.load(folder / "clip-1" / "frames.npz") as resumed, np.load(data / "clip-1" / "frames.npz") as whole:
        for key in whole.files:
            np.testing.assert_array_equal(resumed[key], whole[key], key)


def test_data_of_other_clips_is_left_alone(robin: Speech, data: Path, tmp_path: Path) -> None:
    other = clips.write(tmp_path / "other.mp4", robin[0][:5], robin[1][:3200])
    with pytest.raises(ClipError, match="--force"):
        prepare([other], data, SHORT)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(ClipError, match="not empty"):
        prepare([other], tmp_path / "mine")


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (count, 90, 160, 3)).astype(np.uint8).repeat(4, 1).repeat(4, 2)


@pytest.mark.parametrize(("name", "words"), [
    ("no face", "no face"), ("two faces", "two faces"), ("upside down", "upside down"), ("no sound", "no sound"), ("silent", "silent"),
    ("eight pictures a second", "8 pictures a second"), ("short", "too short"), ("no video", "not a video")])
def test_hopeless_clips_are_refused_in_words(name: str, words: str, robin: Speech, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames, wave = robin
    half = frames[:, :, 160:480]
    path = tmp_path / "clip.mp4"
    made = {
        "no face": lambda: clips.write(path, noise(221), wave),
        "two faces": lambda: clips.write(path, np.concatenate([half, half], 2), wave),
        "upside down": lambda: clips.write(path, frames[:, ::-1, ::-1], wave),
        "no sound": lambda: clips.write(path, frames[:50], None),
        "silent": lambda: clips.write(path, frames, wave * 0),
        "eight pictures a second": lambda: clips.write(path, frames[::3], wave, rate=8),
        "short": lambda: clips.write(path, frames[:125], wave[:80000]),
        "no video": lambda: path.write_bytes(b"not a video at all")}
    made[name]()
    began = time.process_time()
    assert cli.main(["prepare", str(path), str(tmp_path / "data")]) == cli.BAD_DATA
    assert time.process_time() - began < 20
    assert words in capsys.readouterr().err
    assert words in (tmp_path / "data" / "report.html").read_text(encoding="utf-8")


def test_music_is_no_speech(data: Path, robin: Speech) -> None:
    """The mouth and the sound of something else: the scan of a clip that is fine, judged with a tune."""
    t = np.arange(len(robin[1])) / video.SAMPLE_RATE
    tune = (0.2 * np.sin(2 * np.pi * 220 * t) * (1 + np.sin(4 * np.pi * t)) + 0.1 * np.sin(2 * np.pi * (330 + 110 * np.floor(t * 2 % 3)) * t)).astype(np.float32)
    found = scan.load(data / "clip-1")
    verdict = judge.judge(found, hearing.hear(hearing.load(), tune), tune, 25.0, SIZE, None, (0, 0), 0.0, PrepareSettings())
    assert "does not follow" in " ".join(verdict.refusals)


def test_a_picture_that_repeats_gives_a_clip_away(data: Path) -> None:
    found = scan.load(data / "clip-1")
    every = np.ones(len(found["presence"]), bool)
    third = {"thumb": found["thumb"][np.arange(len(every)) // 3 * 3], "time": found["time"]}
    assert judge.picture_rate(found, every, 25.0) > 20
    assert judge.picture_rate(third, every, 25.0) < 12


def test_the_light_is_watched() -> None:
    colour = np.tile(np.array([60.0, 10.0, 12.0]), (200, 1))
    colour[120:] += (9, 0, 0)
    (jump,) = judge.light_jumps(colour, np.ones(200, bool), PrepareSettings())
    assert abs(jump - 120) <= 2
    assert judge.light_jumps(colour + np.linspace(0, 20, 200)[:, None] * (1, 0, 0), np.ones(200, bool), PrepareSettings(light=12)) == ()


def test_cuts_are_found(data: Path) -> None:
    found = scan.load(data / "clip-1")
    assert judge.find_cuts({k: v[:EMPTY.start] for k, v in found.items()}).tolist() in ([], [HAND.start, HAND.stop])
    joined = {k: np.concatenate([v[:50], v[200:]]) for k, v in found.items()}
    joined["points"] = joined["points"] + (np.arange(len(joined["time"])) >= 50)[:, None, None] * 80.0
    assert 50 in judge.find_cuts(joined).tolist()


def test_the_crop_of_a_still_head_is_still(robin: Speech) -> None:
    """A photograph filmed by a noisy camera: below 0.3 pixels before rounding, and not one step after it."""
    rng = np.random.default_rng(3)
    tracker = Tracker(Models())
    still = robin[0][40].astype(np.float32)
    points = np.stack([mesh.points for _ in range(50) if (mesh := tracker(np.clip(still + rng.normal(0, 4, still.shape), 0, 255).astype(np.uint8)))])
    assert len(points) == 50
    face = float(np.median(shape.width(points)))
    heads = shape.heads(points)
    path = shape.crop_path(heads, shape.crop_size(heads.reference, face), face)
    error = float(np.sqrt(((path - path.mean(0)) ** 2).sum(1).mean()))
    print(f"crop of a still head: {error:.3f} px RMS")
    assert error < 0.3
    assert len(np.unique(shape.whole_pixels(path), axis=0)) == 1


def test_a_moving_head_keeps_its_crop() -> None:
    path = np.stack([100 + 40 * np.sin(np.arange(200) / 12), 50 + np.arange(200) * 0.3], 1)
    assert np.abs(shape.whole_pixels(path) - path).max() <= shape.HYSTERESIS
    # Noise around a half moves nothing.
    assert len(np.unique(shape.whole_pixels(np.full((99, 2), 10.5) + np.random.default_rng(0).normal(0, 0.1, (99, 2))), axis=0)) == 1


def numbered(count: int) -> list[np.ndarray]:
    """Pictures whose brightness is their number: 6, 12, 18 …"""
    assert count <= 41
    return [np.full((64, 96, 3), 6 * (k + 1), np.uint8) for k in range(count)]


def numbers(path: Path, first: int = 0) -> list[int]:
    with Clip(path) as clip:
        return [round(float(p.image.mean()) / 6) - 1 for p in clip.frames(clip.facts.width, clip.facts.height, first)]


def test_any_rate_becomes_25(tmp_path: Path) -> None:
    assert numbers(clips.write(tmp_path / "25.mp4", numbered(40), None)) == list(range(40))
    assert numbers(clips.write(tmp_path / "50.mp4", numbered(40), None, rate=50)) == list(range(0, 40, 2))
    assert numbers(clips.write(tmp_path / "30.mkv", numbered(30), None, rate=30))[:8] == [0, 1, 2, 4, 5, 6, 7, 8]
    uneven = [0.0, 0.04, 0.08, 0.31, 0.35, 0.39, 0.43]
    assert numbers(clips.write(tmp_path / "uneven.mp4", numbered(7), None, times=uneven)) == [0, 1, 2, 2, 2, 3, 3, 3, 3, 4, 5, 6]


def test_a_pass_may_begin_anywhere(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "30.mp4", numbered(41), None, rate=30)
    whole = numbers(path)
    for first in (1, 12, 30):
        assert numbers(path, first) == whole[first:]


def test_phones_turn_their_pictures(tmp_path: Path) -> None:
    image = np.zeros((64, 96, 3), np.uint8)
    image[:32, :48] = (0, 0, 250)
    with Clip(clips.write(tmp_path / "turned.mp4", [image] * 5, None, rotation=-90)) as clip:
        assert (clip.facts.width, clip.facts.height) == (64, 96)
        picture = next(iter(clip.frames(64, 96))).image
    # A quarter clockwise: what was left above is right above.
    assert picture[20, 50, 2] > 200 > 50 > picture[20, 10, 2]


def test_bright_pictures_come_down() -> None:
    """High dynamic range: black, grey and paper white keep their levels, highlights stay below 255."""
    for transfer, paper in ((video.PQ, 0.5807), (video.HLG, 0.75)):
        levels = np.array([0, paper * 65535, 65535]).astype(np.uint16)[None, :, None].repeat(3, 2)
        black, white, brightest = video.standard_range(levels, transfer)[0, :, 0].astype(int)
        assert black == 0
        assert 225 <= white < brightest <= 255
        assert np.ptp(video.standard_range(levels, transfer)[0, 1].astype(int)) <= 1
    # A tenth of paper white, by PQ's own formula, is a tenth of a display's light.
    power = (20.3 / 10000) ** 0.1593017578125
    tenth = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    level = video.standard_range(np.full((1, 1, 3), round(tenth * 65535), np.uint16), video.PQ)[0, 0, 0]
    assert level == pytest.approx(255 * 0.1 ** (1 / 2.4), abs=1.5)


def test_sound_and_gaps(tmp_path: Path) -> None:
    wave = np.sin(np.arange(16000) / 5).astype(np.float32) * 0.5
    with Clip(clips.write(tmp_path / "late.mkv", numbered(25), wave, late=0.5)) as clip:
        sound = clip.sound()
    assert np.abs(sound[:7000]).max() < 0.01
    assert np.abs(sound[8400:16000]).max() > 0.4


def test_sound_before_the_picture_is_cut_off(tmp_path: Path) -> None:
    wave = np.zeros(16000, np.float32)
    wave[:6400] = 0.5 * np.sin(np.arange(6400) / 5)
    # The first picture comes after 0.3 s: 0.1 s of the tone are left.
    path = clips.write(tmp_path / "early.mkv", numbered(25), wave, times=[0.3 + k / 25 for k in range(25)])
    with Clip(path) as clip:
        sound = clip.sound()
    assert np.abs(sound[:1200]).max() > 0.4
    assert np.abs(sound[2800:8000]).max() < 0.02


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_damaged_files_end_or_are_refused(kind: str, tmp_path: Path) -> None:
    whole = clips.write(tmp_path / f"whole.{kind}", numbered(30), np.sin(np.arange(19200) / 5).astype(np.float32)).read_bytes()
    rng = np.random.default_rng(5)
    damaged = [whole[:n] for n in rng.integers(0, len(whole), 20)]
    for _ in range(40):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(0, len(data), 12)] = rng.integers(0, 256, 12)
        damaged.append(data.tobytes())
    path, read = tmp_path / f"damaged.{kind}", 0
    for data in damaged:
        path.write_bytes(data)
        try:
            with Clip(path) as clip:
                for picture in clip.frames(96, 64):
                    assert picture.image.shape == (64, 96, 3)
                    assert picture.number < 2000
                    read += 1
                assert np.isfinite(clip.sound()).all()
        except ClipError:
            continue
    assert read > 100


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 255, (9, 16, 3)).astype(np.uint8), (320, 180), interpolation=cv2.INTER_CUBIC)
    video.write([image] * 3, tmp_path / "a.mp4")
    back = list(video.read(tmp_path / "a.mp4"))
    assert len(back) == 3
    assert np.abs(back[1].astype(int) - image).mean() < 3
    assert abs((back[1].astype(float) - image).mean()) < 0.5


def test_short_clips_tell_the_offset_together() -> None:
    rng = np.random.default_rng(3)

    def track(count: int, late: int) -> hearing.Track:
        moved = np.convolve(rng.normal(size=count + 20), np.ones(4) / 4, "same")
        said, seen = moved[10:10 + count], moved[10 - late:10 - late + count]
        return said, seen + rng.normal(0, 0.3, count), np.ones(count, bool)

    tracks = [track(51, 3) for _ in range(4)]
    # Two seconds say nothing of a shift by three frames: too few frames are left.
    assert hearing.agreement(tracks[:1]).seconds != pytest.approx(0.12, abs=0.01)
    together = hearing.agreement(tracks)
    assert together.seconds == pytest.approx(0.12, abs=0.01)
    assert together.sure(PrepareSettings())
    wrong = [(said, tracks[(k + 1) % 4][1], good) for k, (said, _, good) in enumerate(tracks)]
    assert not hearing.agreement(wrong).sure(PrepareSettings())
