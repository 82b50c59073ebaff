"""Renders with Viseme on a Ray cluster: segments on any number of workers, joined without encoding again."""

from .batch import Outcome, Progress, render
from .jobs import Job, read_jobs
from .program import JobFailed
from .work import Settings

__all__ = ["Job", "JobFailed", "Outcome", "Progress", "Settings", "read_jobs", "render"]
