"""What workers do: plan a job, render a segment, join. Each may be done twice, in whole or in part, and the result is the same."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from .jobs import Job
from .program import Accident, JobFailed, Viseme, content_key
from .store import Place, scratch, sound

# Key frames of one render are that far apart: a segment that begins there changes nothing but x264's rate control.
GROUP_SECONDS = 4
PAUSE_SECONDS = 2.0

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Settings:
    """How jobs are run.

    `work` is a folder that all workers share, or an address that fsspec knows: segments are kept there under their content key until their video is there, and a record of
    every finished video for good. `seconds` is the length of a segment, rounded up to whole groups of four seconds. `force` replaces outputs that this batch did not
    make; what is there with the same content is not rendered again. `keep` keeps the segments.
    """

    work: str
    viseme: str = "viseme"
    seconds: int = 40
    threads: int = 1
    retries: int = 20
    force: bool = False
    keep: bool = False


@dataclass(frozen=True)
class Plan:
    """A job in segments: all of them, and which are there already. Nothing to do if `finished`."""

    key: str
    segments: tuple[range, ...] = ()
    there: frozenset[range] = frozenset()
    finished: bool = False


def accidents(work: Callable[P, R]) -> Callable[P, R]:
    """Makes trouble with files and stores an `Accident`, which Ray tries again, after a pause: stores are often back in a moment."""

    @functools.wraps(work)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return work(*args, **kwargs)
        except (OSError, Accident) as error:
            time.sleep(PAUSE_SECONDS)
            raise Accident(f"{type(error).__name__}: {error}") from error

    return guarded


@accidents
def plan(job: Job, settings: Settings) -> Plan:
    """Divides a speech at whole groups of pictures."""
    viseme, pack, speech, key = _prepare(job, settings)
    output = Place(job.output)
    bytes_there = output.size()
    if bytes_there is not None:
        if _record(job, settings).text() == _words(job, key, bytes_there):
            return Plan(key, finished=True)
        _refuse_unless_forced(job, settings)
    fps = int(json.loads((pack / "avatar.json").read_text())["fps"])
    total = viseme.frames(speech, pack, scratch())
    group = GROUP_SECONDS * fps
    length = -(-settings.seconds * fps // group) * group
    segments = tuple(range(first, min(first + length, total)) for first in range(0, total, length))
    names = _folder(settings, key).names()
    return Plan(key, segments, frozenset(frames for frames in segments if name_of(frames) in names))


@accidents
def draw(job: Job, settings: Settings, key: str, frames: range) -> bool:
    """Renders a segment.

    Returns:
        Whether it did: False if another worker was first.
    """
    viseme, pack, speech, own_key = _prepare(job, settings)
    if own_key != key:
        raise JobFailed(
            65, f"What '{job.output}' is made of changed, or this worker has another program or pack: {own_key}, planned was {key}", "run the batch again"
        )
    target = _folder(settings, key).inside(name_of(frames))
    if target.size() is not None:
        return False
    drawn = scratch() / name_of(frames)
    viseme.draw(speech, pack, job.crf, frames, settings.threads, drawn)
    target.put(drawn)
    drawn.unlink()
    return True


@accidents
def join(job: Job, settings: Settings, plan: Plan, *drawn: bool) -> None:
    """Makes the video of all segments, and puts it where it belongs. `drawn` has Ray wait for them."""
    viseme, _, speech, _ = _prepare(job, settings)
    output, record = Place(job.output), _record(job, settings)
    if output.size() is not None:
        if record.text() == _words(job, plan.key, output.size()):
            return  # an earlier try, whose worker died before it could say so
        _refuse_unless_forced(job, settings)
    parts, fetched = [], []
    for frames in plan.segments:
        place = _folder(settings, plan.key).inside(name_of(frames))
        if not place.local:
            place.fetch(copy := scratch() / name_of(frames))
            fetched.append(copy)
        parts.append(place.local or copy)
    joined = scratch() / f"joined{Path(job.output).suffix}"
    viseme.join(parts, speech, joined)
    # The record is first: between the two, a death leaves no output that nobody knows.
    note = scratch() / "record"
    note.write_text(_words(job, plan.key, joined.stat().st_size))
    record.put(note)
    if output.size() is not None:
        _refuse_unless_forced(job, settings)
    output.put(joined)
    for path in (joined, note, *fetched):
        path.unlink()


def clear(settings: Settings, key: str) -> None:
    """Removes the segments of a video that is there."""
    _folder(settings, key).remove()


def name_of(frames: range) -> str:
    return f"{frames.start:09d}-{frames.stop:09d}.mp4"


def _prepare(job: Job, settings: Settings) -> tuple[Viseme, Path, Path, str]:
    viseme = _viseme(settings.viseme)
    pack = viseme.pack(job.avatar)
    speech = sound(job.audio)
    if not speech:
        raise JobFailed(66, f"There is no speech '{job.audio}' for the worker", "every worker must see it: a shared folder, or an address such as s3://…")
    return viseme, pack, speech, content_key(viseme, speech, pack, job.crf)


@functools.cache
def _viseme(named: str) -> Viseme:
    return Viseme(named)


def _folder(settings: Settings, key: str) -> Place:
    return Place(settings.work).inside(f"segments/{key}")


def _record(job: Job, settings: Settings) -> Place:
    return Place(settings.work).inside(f"done/{hashlib.sha256(job.output.encode()).hexdigest()[:32]}.json")


def _words(job: Job, key: str, size: int | None) -> str:
    return json.dumps({"output": job.output, "key": key, "bytes": size}) + "\n"


def _refuse_unless_forced(job: Job, settings: Settings) -> None:
    if not settings.force:
        raise JobFailed(73, f"The output '{job.output}' exists and is not this job's", "choose another name, or add --force")
