"""Jobs on a cluster: who does what, and what happens when a worker dies."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import ray

from . import work
from .jobs import Job
from .program import Accident, JobFailed
from .work import Plan, Settings

# Segments known for each core before another job is planned: workers never wait, and thousands of jobs are not thousands of tasks at once.
AHEAD = 3


@dataclass(frozen=True)
class Outcome:
    """A job that has ended: its video is there, or `error` says why not and `status` as an exit status."""

    job: Job
    segments: int = 0
    rendered: int = 0
    finished_before: bool = False
    error: str | None = None
    status: int = 0


@dataclass
class Progress:
    """Of the jobs that were planned so far, and of all that ended."""

    segments: int = 0
    segments_done: int = 0
    segments_reused: int = 0
    jobs_done: int = 0
    jobs_failed: int = 0


@dataclass
class _Content:
    """What is rendered under one key, for one job or for several that have the same sound and avatar."""

    users: int = 0
    drawing: dict[range, Any] = field(default_factory=dict)


class _Batch:
    def __init__(self, settings: Settings, report: Callable[[Progress], None]) -> None:
        self.settings, self.report = settings, report
        self.progress = Progress()
        # A dead worker or node, and what may be better elsewhere or later, is tried again; `JobFailed` is not.
        options = {"num_cpus": settings.threads, "max_retries": settings.retries, "retry_exceptions": [Accident]}
        self.plan = ray.remote(**options)(work.plan)
        self.draw = ray.remote(**options)(work.draw)
        self.join = ray.remote(**options)(work.join)
        self.plans: dict[Any, Job] = {}
        self.segments: dict[Any, tuple[str, range]] = {}
        self.joins: dict[Any, tuple[Job, Plan, list[Any]]] = {}
        self.contents: dict[str, _Content] = {}
        self.rendered: dict[Any, bool] = {}
        # Content whose videos are there, and the plans that were being made then: they may have seen its segments.
        self.unused: dict[str, set[Any]] = {}

    def has_room(self) -> bool:
        if len(self.plans) + len(self.segments) >= AHEAD * 2:  # asking the cluster costs a call
            cores = int(ray.cluster_resources().get("CPU", 1))
            return len(self.plans) + len(self.segments) < AHEAD * max(2, cores)
        return True

    def start(self, job: Job) -> None:
        self.plans[self.plan.remote(job, self.settings)] = job

    def next_ended(self) -> Any:
        ready, _ = ray.wait([*self.segments, *self.joins, *self.plans], num_returns=1)
        return ready[0]

    def segment_ended(self, reference: Any) -> None:
        """Counts a segment; if it failed, its join says so."""
        self.segments.pop(reference)
        try:
            self.rendered[reference] = bool(ray.get(reference))
        except Exception:
            self.rendered[reference] = False
        self.progress.segments_done += 1

    def planned(self, reference: Any) -> Outcome | None:
        job = self.plans.pop(reference)
        try:
            plan: Plan = ray.get(reference)
        except Exception as error:
            self.clear(reference)
            return _failed(job, error)
        if not plan.finished:
            self.unused.pop(plan.key, None)
        self.clear(reference)
        if plan.finished:
            return Outcome(job, finished_before=True)
        content = self.contents.setdefault(plan.key, _Content())
        content.users += 1
        for frames in plan.segments:
            if frames not in plan.there and frames not in content.drawing:
                drawn = self.draw.remote(job, self.settings, plan.key, frames)
                content.drawing[frames] = drawn
                self.segments[drawn] = (plan.key, frames)
        waits = [content.drawing[frames] for frames in plan.segments if frames in content.drawing]
        own = [drawn for drawn in waits if drawn in self.segments]
        self.progress.segments += len(own)
        self.progress.segments_reused += len(plan.segments) - len(waits)
        self.joins[self.join.remote(job, self.settings, plan, *waits)] = (job, plan, waits)
        return None

    def joined(self, reference: Any) -> Outcome:
        job, plan, waits = self.joins.pop(reference)
        content = self.contents[plan.key]
        content.users -= 1
        try:
            ray.get(reference)
            outcome = Outcome(job, len(plan.segments), sum(self.rendered.get(drawn, True) for drawn in waits))
        except Exception as error:
            outcome = _failed(job, error)
        if content.users == 0:
            for drawn in waits:
                if drawn in self.segments:  # the rest of a job that failed
                    ray.cancel(drawn, force=True)
                self.rendered.pop(drawn, None)
            del self.contents[plan.key]
            # What a failed job has stays for the next run.
            if not self.settings.keep and not outcome.error:
                self.unused[plan.key] = set(self.plans)
                self.clear()
        return outcome

    def clear(self, planned: Any = None) -> None:
        """Removes the segments that no plan can have seen."""
        for key, plans in list(self.unused.items()):
            plans.discard(planned)
            if not plans:
                # The videos are there: a store that is away for a moment must not end the batch.
                with contextlib.suppress(Exception):
                    work.clear(self.settings, key)
                del self.unused[key]


def render(jobs: Iterable[Job], settings: Settings, report: Callable[[Progress], None] = lambda progress: None) -> Iterator[Outcome]:
    """Renders jobs on the cluster that Ray is connected to.

    A worker or node that dies loses the segments that it was at; they are rendered again elsewhere. A batch that was interrupted is run again and goes on where it was.

    Args:
        jobs: Any number, read as workers become free. No two write one output.
        settings: Where and how.
        report: Is told how far it is.

    Yields:
        What became of each job, in the order in which they end; a job that fails does not stop the others.
    """
    batch = _Batch(settings, report)
    waiting = iter(jobs)
    more = True
    while True:
        while more and batch.has_room():
            job = next(waiting, None)
            if job is None:
                more = False
            else:
                batch.start(job)
        if not (batch.plans or batch.segments or batch.joins):
            return
        reference = batch.next_ended()
        outcome: Outcome | None = None
        if reference in batch.segments:
            batch.segment_ended(reference)
        elif reference in batch.plans:
            outcome = batch.planned(reference)
        else:
            outcome = batch.joined(reference)
        if outcome:
            batch.progress.jobs_done += 1
            batch.progress.jobs_failed += outcome.error is not None
        report(batch.progress)
        if outcome:
            yield outcome


def _failed(job: Job, error: Exception) -> Outcome:
    cause = getattr(error, "cause", None) or error
    if isinstance(cause, JobFailed):
        return Outcome(job, error=str(cause), status=cause.status)
    lines = str(cause).strip().splitlines()
    return Outcome(job, error=lines[-1] if lines else type(cause).__name__, status=70)
