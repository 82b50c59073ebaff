"""Renders long speech, and lists of speeches, with Viseme on a Ray cluster."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

# A program that renders on your own machines tells nobody about it; Ray does by default.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray

from viseme_ray import Job, Progress, Settings, read_jobs, render
from viseme_ray.store import is_address


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        0 if all videos are there; else the status of the first job that failed: 65 bad data, 66 no input, 69 something is missing, 70 failed inside, 73 the output exists.
    """
    parser = argparse.ArgumentParser(prog="viseme-ray", description=__doc__)
    parser.add_argument("--audio", help="one speech: a path that every worker sees, or an address such as s3://bucket/talk.wav")
    parser.add_argument("-o", "--output", help="its video: .mp4, .mov or .mkv")
    parser.add_argument("--jobs", type=Path, help='or a list: JSON objects, one a line ({"audio": …, "output": …, "avatar": …, "crf": …}), or .csv with these names')
    parser.add_argument("--avatar", default="robin", help="a pack that every worker has (default: robin)")
    parser.add_argument("--crf", type=int, default=18, help="x264's quality: 0 (lossless) … 51 (default: 18)")
    parser.add_argument("--work", required=True, help="a folder that all workers share, or an address: segments, and what is done. With the same folder a batch goes on")
    parser.add_argument("--seconds", type=int, default=40, help="of a segment, in whole groups of four (default: 40)")
    parser.add_argument("--threads", type=int, default=1, help="cores of a segment (default: 1)")
    parser.add_argument("--retries", type=int, default=20, help="of a segment whose worker died (default: 20)")
    parser.add_argument("--viseme", default=os.environ.get("VISEME_BINARY", "viseme"), help="the program, at the same path on every worker")
    parser.add_argument("--address", help="of a Ray cluster, or auto; this machine by default")
    parser.add_argument("--workers", type=int, help="of this machine, as many as cores by default")
    parser.add_argument("--force", action="store_true", help="replace outputs that this batch did not make")
    parser.add_argument("--keep", action="store_true", help="keep the segments")
    named = parser.parse_args(arguments)
    try:
        if bool(named.audio) == bool(named.jobs):
            raise ValueError("Give --audio and --output, or --jobs")
        if bool(named.audio) != bool(named.output):
            raise ValueError("--audio and --output belong together; a list has outputs of its own")
        for name, least, most in (("seconds", 1, 86_400), ("threads", 1, 1024), ("retries", 0, 10_000), ("workers", 1, 10_000)):
            value = getattr(named, name)
            if value is not None and not least <= value <= most:
                raise ValueError(f"--{name} is {least}…{most}, not {value}")
        if named.address and named.workers:
            raise ValueError("--workers is for this machine alone: a cluster at --address has its own")
        jobs = read_jobs(named.jobs) if named.jobs else [Job(named.audio, named.output, named.avatar, named.crf)]
    except FileNotFoundError as error:
        print(f"error: There is no list '{error.filename}'", file=sys.stderr)
        return 66
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 64
    work = named.work if is_address(named.work) else str(Path(named.work).absolute())
    viseme = str(Path(named.viseme).absolute()) if "/" in named.viseme else named.viseme
    settings = Settings(work, viseme, named.seconds, named.threads, named.retries, named.force, named.keep)
    # Ray writes what happens to workers to standard output, which is for results.
    results, sys.stdout = sys.stdout, sys.stderr
    local = {} if named.address else {"num_cpus": named.workers, "include_dashboard": False, "object_store_memory": 100 << 20}
    status = 0
    show = _Show(len(jobs))
    try:
        ray.init(address=named.address or "local", log_to_driver=False, logging_level="ERROR", **local)
        for outcome in render(jobs, settings, show):
            status = status or outcome.status
            line = {**asdict(outcome.job), "segments": outcome.segments, "rendered": outcome.rendered, "finishedBefore": outcome.finished_before}
            print(json.dumps({**line, "error": outcome.error, "status": outcome.status}), file=results, flush=True)
            if outcome.error:
                print(f"error: {outcome.job.audio}: {outcome.error}", file=sys.stderr)
        show.end()
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        status = 130
    finally:
        ray.shutdown()
        sys.stdout = results
    return status


class _Show:
    """Progress: one line on a terminal that is written again and again, a line each ten seconds in a pipe."""

    def __init__(self, jobs: int) -> None:
        self._jobs, self._last, self._terminal = jobs, 0.0, sys.stderr.isatty()
        self._text = ""

    def __call__(self, progress: Progress) -> None:
        known = f"{progress.segments_done}/{progress.segments} segments" + (f", {progress.segments_reused} were there" if progress.segments_reused else "")
        failed = f", {progress.jobs_failed} failed" if progress.jobs_failed else ""
        self._text = f"{progress.jobs_done}/{self._jobs} videos{failed}, {known}"
        now = time.monotonic()
        if self._terminal:
            print(f"\r{self._text}\033[K", end="", file=sys.stderr, flush=True)
        elif now - self._last >= 10:
            self._last = now
            print(self._text, file=sys.stderr, flush=True)

    def end(self) -> None:
        print(f"\r{self._text}" if self._terminal else self._text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
