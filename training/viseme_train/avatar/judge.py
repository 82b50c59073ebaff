"""Tells good frames from bad ones and usable clips from hopeless ones, in words for who recorded them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from viseme_train.avatar import hearing, shape
from viseme_train.avatar.hearing import Agreement, Heard
from viseme_train.avatar.scan import PATCH, Scan
from viseme_train.avatar.settings import PrepareSettings
from viseme_train.avatar.video import FPS, LONGEST_STAND

#: Why a frame is not used: bits of a frame's mark, with the words for them.
NO_FACE, SECOND_FACE, TURNED, COVERED, BLURRED, CUT, OUTSIDE, SIZE, STANDING, LIGHT = (1 << k for k in range(10))
WORDS = {NO_FACE: "no face", SECOND_FACE: "a second face", TURNED: "turned away", COVERED: "something before the mouth", BLURRED: "blurred", CUT: "a cut",
         OUTSIDE: "mouth at the picture's edge", SIZE: "much nearer or farther", STANDING: "the picture stands still", LIGHT: "other light"}
#: What to do about each, when it is more than a few frames.
REMEDIES = {NO_FACE: "Stay in the picture, and light the face from the front.",
            SECOND_FACE: "Be alone in the picture; pictures of people on the wall count, too.",
            TURNED: "Look at the lens. Turning the head a little is fine.",
            COVERED: "Keep hands, microphone and cup away from the mouth.",
            BLURRED: "More light makes sharper pictures; wipe the lens, and let the camera focus on the face.",
            CUT: "Record in one go; stretches between cuts are used on their own.",
            OUTSIDE: "Leave room below the chin and beside the face.",
            SIZE: "Keep your distance from the camera.",
            STANDING: "The camera dropped pictures: close other programs, or record with the phone's own camera program.",
            LIGHT: "Lock the camera's exposure and white balance, and close the curtains."}
#: A cut changes the picture this much more than the frames around it do.
CUT_RATIO = 6.0
#: Speech is at most this much below the loud parts, in dB, and above this level.
SPEECH_RANGE, SPEECH_LEAST = 25.0, -58.0
#: Deviations by which a place of the lower face must differ from its median to look strange, and what compression adds to each deviation, in grey levels.
STRANGE, CODING_NOISE = 3.0, 3.0
#: A picture that changes by less than this share of what is usual around it repeats the one before.
REPEATS = 0.3


@dataclass(frozen=True)
class Verdict:
    """What is known of a clip."""

    #: Bits for every frame; 0 is good.
    marks: np.ndarray
    #: Frames in which somebody speaks.
    speaking: np.ndarray
    aperture: np.ndarray
    loudness: np.ndarray
    follow: Agreement
    #: Sound offset that was corrected, seconds by which the sound was delayed.
    corrected: float
    #: Frames behind which light or colour of the face changed.
    lights: tuple[int, ...]
    cuts: tuple[int, ...]
    #: Stretches (first frame, count) of a second or more with a closed mouth.
    closed: tuple[tuple[int, int], ...]
    #: Distinct pictures a second.
    rate: float
    #: Of the upper face in good frames, Lab.
    colour: tuple[float, ...]
    #: Loud parts in dB of full scale, noise in pauses, share of clipped samples, silence at both ends in seconds.
    level: float
    noise: float
    clipped: float
    ends: tuple[float, float]
    #: Why the clip is not used; empty for a usable one.
    refusals: tuple[str, ...] = ()
    advice: tuple[str, ...] = field(default=())

    @property
    def good(self) -> np.ndarray:
        return self.marks == 0


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Stretches of true values: (first, count)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2])]


def find_cuts(scan: Scan) -> np.ndarray:
    """Frames that follow a cut: the whole picture changes at once, or the face is elsewhere."""
    count = len(scan["presence"])
    if count < 2:
        return np.zeros(0, int)
    settings = PrepareSettings()
    grey = scan["thumb"].astype(np.float32)
    change = np.abs(np.diff(grey, axis=0)).mean((1, 2))
    usual = ndimage.median_filter(change, 25, mode="nearest")
    nose = scan["points"][:, 4, :2]
    with np.errstate(invalid="ignore"):
        jump = np.linalg.norm(np.diff(nose, axis=0), axis=1) / shape.width(scan["points"])[1:]
        moved = np.nan_to_num(jump) > settings.cut_jump
    cut = (change > settings.cut_change) & (change > CUT_RATIO * usual) | moved
    return np.flatnonzero(cut) + 1


def mark(scan: Scan, cuts: np.ndarray, size: tuple[int, int], boxes: np.ndarray | None, crop: tuple[int, int], settings: PrepareSettings) -> np.ndarray:
    """The marks of every frame of a clip. `boxes` are the crops' corners, `size` the frame's width and height."""
    count = len(scan["presence"])
    points = scan["points"]
    marks = np.zeros(count, np.int32)
    found = np.isfinite(points[:, 0, 0])
    marks[~found] |= NO_FACE
    # Between two looks at the whole picture a face may have come or gone anywhere.
    for k in np.flatnonzero(scan["other"] >= settings.second_face):
        marks[max(0, k - settings.search_every + 1):k + settings.search_every] |= SECOND_FACE
    with np.errstate(invalid="ignore"):
        marks[np.abs(shape.yaw(points)) > settings.yaw] |= TURNED
        wide = shape.width(points)
        if found.any():
            marks[np.abs(wide / np.nanmedian(wide) - 1) > settings.size] |= SIZE
    usable = found & (marks == 0)
    if usable.any():
        marks[found & (scan["sharp"] < settings.blur * np.median(scan["sharp"][usable]))] |= BLURRED
        other = np.abs(scan["colour"] - np.median(scan["colour"][usable], 0)).max(1) > settings.other_light
        marks[found & other] |= LIGHT
        marks[found & ~other & covered(scan, usable & ~other, settings)] |= COVERED
    for k in cuts:
        marks[max(0, k - 1):k + 1] |= CUT
    for first, length in runs(np.concatenate([[False], np.diff(scan["time"]) < 1e-6])):
        if length > LONGEST_STAND * FPS:
            marks[first:first + length] |= STANDING
    if boxes is not None:
        outside = (boxes < 0).any(1) | (boxes + crop > size).any(1)
        marks[outside] |= OUTSIDE
    return marks


def covered(scan: Scan, usable: np.ndarray, settings: PrepareSettings) -> np.ndarray:
    """Frames whose lower face looks like never before: a hand, a cup. What is there all the time is part of the person.

    Strange is what differs from a place's median by more than that place's own changes: skin hardly changes, lips do.
    """
    lightness = scan["colour"][:, 0]
    gain = np.clip(np.median(lightness[usable]) / np.maximum(lightness, 1), 0.5, 2)  # other light is no hand
    inner = slice(PATCH // 8, -PATCH // 8)  # the outer edge shows what is behind the head
    patches = scan["patch"][:, inner, inner]
    some = np.flatnonzero(usable)[:: max(1, int(usable.sum()) // 400)]
    known = patches[some] * gain[some, None, None, None]
    usual = np.median(known, 0)
    spread = STRANGE * (1.48 * np.median(np.abs(known - usual), 0) + CODING_NOISE)
    share = np.array([(np.abs(p * g - usual) > spread).any(2).mean() for p, g in zip(patches, gain)])
    return np.asarray(ndimage.median_filter(share, 5, mode="nearest") > settings.occluded)


def light_jumps(colour: np.ndarray, found: np.ndarray, settings: PrepareSettings) -> tuple[int, ...]:
    """Frames at which lightness or colour of the face changes within half a second."""
    if found.sum() < FPS:
        return ()
    n = np.arange(len(colour))
    smooth = np.stack([ndimage.median_filter(np.interp(n, n[found], colour[found, i]), 5, mode="nearest") for i in range(3)], 1)
    step = FPS // 2
    change = np.abs(smooth[step:] - smooth[:-step]).max(1)
    # A jump is seen from all frames up to half a second before it.
    return tuple(first + (length + step) // 2 for first, length in runs(change > settings.light))


def picture_rate(scan: Scan, speaking: np.ndarray, source_rate: float) -> float:
    """Different pictures a second, whatever the file says: by the source's times, and by pictures that repeat the one before while somebody speaks."""
    if len(speaking) < 2:
        return source_rate
    faster = max(1.0, source_rate / FPS)
    rates = [source_rate, float((np.diff(scan["time"]) > 1e-6).mean()) * FPS * faster]
    change = np.abs(np.diff(scan["thumb"].astype(np.float32), axis=0)).mean((1, 2))
    if speaking[1:].sum() >= 2 * FPS:
        new = change > REPEATS * ndimage.percentile_filter(change, 75, 13, mode="nearest")
        rates.append(float(new[speaking[1:]].mean()) * FPS * faster)
    return min(rates)


def judge(scan: Scan, heard: Heard, wave: np.ndarray, source_rate: float, size: tuple[int, int], boxes: np.ndarray | None, crop: tuple[int, int],
          corrected: float, settings: PrepareSettings, partial: bool = False) -> Verdict:
    """Everything at once. Of a part of a clip (`partial`) only what the rest cannot mend is a reason to refuse."""
    count = len(scan["presence"])
    cuts = find_cuts(scan)
    marks = mark(scan, cuts, size, boxes, crop, settings)
    good = marks == 0
    found = (marks & NO_FACE) == 0
    aperture = np.nan_to_num(shape.aperture(scan["points"])) if count else np.zeros(0)
    level = hearing.loudness(wave)[:count]
    level = np.pad(level, (0, count - len(level)), constant_values=-100.0)
    loud = float(np.percentile(level, 95)) if count else -100.0
    speaking = np.convolve(level > max(loud - SPEECH_RANGE, SPEECH_LEAST), np.ones(5), "same") > 0
    noise = float(np.percentile(level, 5)) if count else -100.0
    follow = hearing.agreement([(heard.opening, aperture, good)])
    closed = tuple(r for r in runs((aperture < settings.closed) & good) if r[1] >= FPS)
    sounding = np.flatnonzero(speaking)
    ends = (sounding[0] / FPS, (count - 1 - sounding[-1]) / FPS) if len(sounding) else (count / FPS, count / FPS)
    rate = picture_rate(scan, speaking, source_rate)
    clipped = float((np.abs(wave) > 0.985).mean()) if len(wave) else 0.0

    refusals: list[str] = []
    part = lambda bits: float(((marks & bits) != 0).mean()) if count else 0.0
    percent = lambda share: f"{share * 100:.0f} %"
    longest = max((b - a for a, b in zip([0, *cuts], [*cuts, count])), default=0) / FPS
    if part(NO_FACE) > 0.5:
        refusals.append(f"There is no face in {percent(part(NO_FACE))} of the frames.")
    if part(SECOND_FACE) > 0.5:
        refusals.append(f"There are two faces in {percent(part(SECOND_FACE))} of the frames. An avatar is one person.")
    if part(TURNED) > 0.5:
        refusals.append(f"The head is turned away by more than {settings.yaw:.0f}° in {percent(part(TURNED))} of the frames.")
    if len(cuts) and longest < settings.least_stretch:
        refusals.append(f"The clip is cut {len(cuts)} times in {count / FPS:.0f} s; the longest stretch has {longest:.1f} s, {settings.least_stretch:.0f} are needed.")
    if rate < settings.least_rate and count >= FPS:
        refusals.append(f"There are {rate:.0f} different pictures a second; {settings.least_rate:.0f} are needed, 25 or more are good. A mouth moves faster.")
    talking = speaking & good
    heard_enough = talking.sum() >= 6 * FPS
    opens = good.any() and np.percentile(aperture[good], 90) - np.percentile(aperture[good], 10) > 0.012
    silent = heard_enough and not opens and not partial
    if silent:  # somebody listens, or music plays: rest, but no speech
        speaking = np.zeros(count, bool)
    if heard_enough and opens and not follow.sure(settings):
        refusals.append(f"The mouth does not follow the sound (r {follow.r:.2f}; {follow.chance:.2f} come by chance). Is it music, another voice, or a film that was dubbed?")
    said = ["There is sound, but the mouth hardly opens: nobody speaks in this clip. It serves as rest only."] if silent else []
    said += advice(marks, loud, noise, clipped, scan, settings)
    return Verdict(marks=marks, speaking=speaking, aperture=aperture, loudness=level, follow=follow, corrected=corrected,
                   lights=light_jumps(scan["colour"], found, settings) if count else (), cuts=tuple(int(k) for k in cuts), closed=closed, rate=rate,
                   colour=tuple(np.median(scan["colour"][good], 0).tolist()) if good.any() else (0.0, 0.0, 0.0),
                   level=loud, noise=noise, clipped=clipped, ends=ends, refusals=tuple(refusals),
                   advice=tuple(said))


def advice(marks: np.ndarray, loud: float, noise: float, clipped: float, scan: Scan, settings: PrepareSettings) -> list[str]:
    """What would make the next recording better."""
    said: list[str] = []
    count = len(marks)
    for bit, words in WORDS.items():
        share = ((marks & bit) != 0).mean() if count else 0
        if share > 0.02:
            said.append(f"{share * 100:.0f} % of the frames are left out: {words}. {REMEDIES[bit]}")
    if count and np.isfinite(scan["points"]).any():
        face = float(np.nanmedian(shape.width(scan["points"])))
        if face < 150:
            said.append(f"The face is {face:.0f} pixels wide; from 200 on teeth are sharp. Come nearer, or record with more pixels.")
    if lights := light_jumps(scan["colour"], (marks & NO_FACE) == 0, settings):
        said.append(f"The light on the face changes {len(lights)} times. Switch off what flickers, lock the camera's exposure and white balance, close the curtains.")
    if loud < -35:
        said.append(f"The voice is faint ({loud:.0f} dB). Come nearer to the microphone.")
    if clipped > 1e-3:
        said.append(f"{clipped * 100:.1f} % of the sound is clipped. Turn the microphone down, or go farther from it.")
    if loud - noise < 25 and count:
        said.append(f"There is noise only {loud - noise:.0f} dB below the voice. Record in a quiet room without music.")
    return said


def more_material(verdicts: Sequence[Verdict]) -> list[str]:
    """What all clips together lack."""
    said = []
    colours = [v.colour for v in verdicts]
    if any(np.abs(np.subtract(c, colours[0])).max() > PrepareSettings().other_light for c in colours):
        said.append("The clips were filmed in different light. Record all of them in one place on one day: the mouth is learned as it looks in all of them.")
    if (seconds := sum(int((v.speaking & v.good).sum()) for v in verdicts) / FPS) < 30:
        said.append(f"There are {seconds:.0f} s of speech. 30 s or more, with many different words, make a better mouth.")
    if (rest := sum(n for v in verdicts for _, n in v.closed) / FPS) < 8:
        said.append(f"The mouth is closed and at rest for {rest:.0f} s. Add 15 s of listening with a closed mouth: the avatar rests like that.")
    return said
