"""Reads any clip as pictures at 25 a second and speech at 16 kHz, and writes pictures as H.264. Decision 22 says why with PyAV.

Time 0 is the first picture. Frame k is the source's picture nearest to k / 25 s, sample i of the sound is heard at i / 16000 s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace, Interpolation

FPS = 25
SAMPLE_RATE = 16000
#: A picture that stands longer than this, in seconds, is a gap of the recording.
LONGEST_STAND = 0.25
#: A gap of the sound that is filled with silence, in seconds; a longer one is a broken clock.
LONGEST_GAP = 600
#: Transfer functions of high dynamic range, by their number in H.273.
PQ, HLG = 16, 18
#: FFmpeg's mark of a video track that is the cover of a song.
COVER = 0x400
#: Lists of other files: what they name may lie anywhere.
LISTS = {"hls", "concat", "dash", "sdp", "rtsp", "imf"}
#: Of FFmpeg's scaler, for colours that come back as they were.
EXACT = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
#: Luminance of white paper in PQ, and its level in HLG's display light (BT.2408): both become 1.
PAPER_NITS, HLG_PEAK_NITS = 203.0, 1000.0
BT2020_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)


class ClipError(ValueError):
    """A clip that cannot be used: what is wrong with it, and what to do, in words for who recorded it."""


class Picture(NamedTuple):
    """A frame: its number, pixels [H, W, 3] BGR, and the time of the source's picture in seconds."""

    number: int
    image: np.ndarray
    time: float


@dataclass(frozen=True)
class Facts:
    """What a clip's file says of itself. Width and height are those that a player shows."""

    name: str
    sha256: str
    container: str
    codec: str
    width: int
    height: int
    rotation: int
    rate: float
    seconds: float
    hdr: bool
    interlaced: bool
    sound: bool


class Clip(AbstractContextManager["Clip"]):
    """An open clip. One pass at a time: `frames` and `sound` seek."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ClipError(f"{path}: no such file")
        self.path = path
        self._open()
        try:
            self.facts = self._look()
        except BaseException:
            self.container.close()
            raise

    def _open(self) -> None:
        """Opens the file at its beginning. Seeking there instead loses pictures of MPEG streams."""
        try:
            # A local file and nothing that it may name.
            self.container = av.open(f"file:{self.path}", options={"protocol_whitelist": "file"})
        except (av.error.FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ClipError(f"{self.path.name} is not a video that can be read ({reason}). Export it as MP4 with H.264, or record it again.") from error
        self.stream: Any = next((s for s in self.container.streams.video if not int(s.disposition) & COVER), None)
        if self.stream:
            self.stream.thread_type = "AUTO"

    def _look(self) -> Facts:
        name = self.path.name
        if kinds := LISTS & set(self.container.format.name.split(",")):
            raise ClipError(f"{name} is a list of other files ({', '.join(sorted(kinds))}), not a video. Give the video itself.")
        if not self.stream:
            raise ClipError(f"{name} has no picture. A clip of the speaking person is needed, not sound alone.")
        first = next(self._decoded(), None)
        if first is None or first.width < 16 or first.height < 16:
            raise ClipError(f"{name}: not one picture can be decoded. The file is damaged or was cut off; copy it again.")
        if first.width * first.height > 8192 * 4608:
            raise ClipError(f"{name} has {first.width}×{first.height} pixels, more than 8K. Export it smaller.")
        self.start = float(first.time or 0)
        self.turns = round(first.rotation / 90) % 4  # counter-clockwise quarters
        self.transfer = int(first.color_trc)
        self.space = int(first.colorspace)
        ratio = self.stream.sample_aspect_ratio or Fraction(1)
        width, height = round(first.width * float(ratio)), first.height
        self.stored = (width, height)
        size = (height, width) if self.turns % 2 else (width, height)
        rate = self.stream.average_rate or self.stream.guessed_rate or Fraction(FPS)  # None or 0 where the file does not say
        length = float(self.stream.duration * self.stream.time_base) if self.stream.duration else (self.container.duration or 0) / 1e6
        with open(self.path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Facts(name=name, sha256=digest, container=self.container.format.name, codec=self.stream.codec_context.name,
                           width=size[0], height=size[1], rotation=90 * self.turns, rate=float(rate), seconds=length,
                           hdr=self.transfer in (PQ, HLG), interlaced=bool(first.interlaced_frame), sound=bool(self.container.streams.audio))

    def __exit__(self, *_: object) -> None:
        self.container.close()

    def _reopen(self) -> None:
        self.container.close()
        self._open()

    def _decoded(self, time: float | None = None) -> Iterator[Any]:
        """The source's pictures from a little before a time on, or all. What cannot be decoded is left out: times tell the gap."""
        try:
            if time is None:
                self._reopen()
            else:
                self.container.seek(int(max(0.0, time) / self.stream.time_base), stream=self.stream, backward=True)
        except av.error.FFmpegError:  # no index: from the beginning
            self._reopen()
        yield from self._read(self.stream)

    def _read(self, stream: Any) -> Iterator[Any]:
        """The frames of a stream. What is damaged is left out; where nothing more can be read the file ends."""
        packets = self.container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:
                return
            if packet is None:
                return
            try:
                yield from packet.decode()
            except av.error.FFmpegError:
                continue

    def _from(self, time: float) -> Iterator[Any]:
        """Pictures of which the first one is not later than a time, where the clip has one."""
        frames = self._decoded(time if time > self.start else None)
        first = next(frames, None)
        if time > self.start and (first is None or first.time is None or first.time > time - 0.5 / FPS):
            frames = self._decoded(None)  # an index that points behind the target
            first = next(frames, None)
        if first is not None:
            yield first
            yield from frames

    def frames(self, width: int, height: int, first: int = 0) -> Iterator[Picture]:
        """Frames from number `first` on, at 25 a second, `width` × `height` as a player shows them."""
        before: Any = None
        image: tuple[Any, np.ndarray] | None = None
        k = first
        counted = 0
        for frame in self._from(self.start + first / FPS):
            if frame.time is None:  # no clock at all: the rate is one
                frame.pts, frame.time_base = round(counted / self.facts.rate / self.stream.time_base), self.stream.time_base
            counted += 1
            now = float(frame.time) - self.start
            while before is not None and k / FPS < now:
                nearest = before if k / FPS - (float(before.time) - self.start) <= now - k / FPS else frame
                if image is None or image[0] is not nearest:
                    image = (nearest, self._pixels(nearest, width, height))
                yield Picture(k, image[1], float(nearest.time) - self.start)
                k += 1
            before = frame
        # The last one stands for a picture's time.
        if before is not None and k / FPS < float(before.time) - self.start + 1 / self.facts.rate - 1e-6:
            yield Picture(k, self._pixels(before, width, height), float(before.time) - self.start)

    def at(self, time: float, width: int, height: int) -> np.ndarray | None:
        """The picture at a time."""
        found = next(self.frames(width, height, max(0, int(time * FPS))), None)
        return found.image if found else None

    def _pixels(self, frame: Any, width: int, height: int) -> np.ndarray:
        """A picture as BGR of 8 bits, upright."""
        size = (height, width) if self.turns % 2 else (width, height)
        # A file that does not name its matrix: large pictures are BT.709, small ones BT.601, as players assume.
        known = {1: Colorspace.ITU709, 5: Colorspace.ITU601, 6: Colorspace.ITU601, 7: Colorspace.SMPTE240M, 9: Colorspace.BT2020, 10: Colorspace.BT2020}
        space = known.get(self.space, Colorspace.ITU709 if self.stored[1] >= 720 else Colorspace.ITU601)
        how = (Interpolation.AREA if size[0] < self.stored[0] else Interpolation.BICUBIC) | EXACT
        hdr = self.transfer in (PQ, HLG)
        made = frame.reformat(width=size[0], height=size[1], format="rgb48le" if hdr else "bgr24", src_colorspace=space, interpolation=how, threads=1)
        pixels = made.to_ndarray()
        if hdr:
            pixels = standard_range(pixels, self.transfer)
        return np.ascontiguousarray(np.rot90(pixels, self.turns))

    def sound(self) -> np.ndarray:
        """All of the first sound track, mono, float32 −1 … 1, from the time of the first picture on. Gaps are silent."""
        self._reopen()
        track = next(iter(self.container.streams.audio), None)
        if track is None:
            return np.zeros(0, np.float32)
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)
        parts: list[np.ndarray] = []
        length = early = 0

        def add(samples: np.ndarray) -> None:
            nonlocal length
            parts.append(samples)
            length += len(samples)

        for frame in self._read(track):
            if frame.time is not None and np.isfinite(place := (float(frame.time) - self.start) * SAMPLE_RATE):
                # Clocks of 1/1000 s and the resampler's own delay are no gaps.
                if not length and place < 0:
                    early = round(-place)  # sound before the first picture
                elif length + SAMPLE_RATE // 20 < place < length + LONGEST_GAP * SAMPLE_RATE:
                    add(np.zeros(round(place) - length, np.float32))
            frame.pts = None
            try:
                made = resampler.resample(frame)
            except ValueError:  # another rate or layout than before
                resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)
                made = resampler.resample(frame)
            for part in made:
                samples = part.to_ndarray().ravel()
                add(samples[early:])
                early = max(0, early - len(samples))
        for made in resampler.resample(None):
            add(made.to_ndarray().ravel())
        wave = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        return np.clip(np.nan_to_num(wave, posinf=1, neginf=-1), -1, 1).astype(np.float32)


def standard_range(rgb: np.ndarray, transfer: int) -> np.ndarray:
    """High dynamic range, RGB of 16 bits in BT.2020, as BGR of 8 bits in BT.709: paper white stays white, what is brighter is pressed together."""
    level = np.linspace(0, 1, 4096)
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
        root = level ** (1 / m2)
        linear = (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1) * 10000 / PAPER_NITS
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(level <= 0.5, level ** 2 / 3, (np.exp((level - c) / a) + b) / 12)
        linear = scene ** 1.2 * HLG_PEAK_NITS / PAPER_NITS
    light = cv2.transform(linear.astype(np.float32)[rgb >> 4], BT2020_TO_BT709)
    light = np.clip(light, 0, None)
    knee = 0.75
    light = np.where(light > knee, knee + (1 - knee) * (1 - np.exp((knee - light) / (1 - knee))), light)
    curve = np.round(255 * (np.arange(4096) / 4095) ** (1 / 2.4)).astype(np.uint8)  # what a display of BT.1886 undoes
    return curve[(light * 4095 + 0.5).astype(np.uint16)][..., ::-1]


def write(frames: Iterable[np.ndarray], path: Path, crf: int = 12) -> None:
    """Writes pictures of one size, BGR, at 25 a second: H.264, BT.709, near to lossless. Sides must be even."""
    with av.open(str(path), "w", format="mp4") as container:
        stream: Any = None
        for k, image in enumerate(frames):
            if stream is None:
                stream = container.add_stream("libx264", rate=FPS, options={"crf": str(crf), "preset": "veryfast", "bf": "0", "g": "25"})
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                context = stream.codec_context
                context.thread_count = 1
                context.color_primaries = context.color_trc = context.colorspace = 1  # BT.709
                context.color_range = 1  # limited
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, interpolation=Interpolation.BICUBIC | EXACT, threads=1)
            frame.pts, frame.time_base = k, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))


def read(path: Path) -> Iterator[np.ndarray]:
    """The pictures of a file that `write` made, BGR."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.reformat(format="bgr24", src_colorspace=Colorspace.ITU709, interpolation=Interpolation.BICUBIC | EXACT, threads=1).to_ndarray()
