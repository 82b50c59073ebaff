"""Talks to a Viseme server: live sessions, speech, raw pictures and sound, interruptions."""

from .client import Session, Viseme
from .errors import Unreachable, VisemeError
from .face import Face, Saying
from .speech import Utterance
from .units import Unit

__all__ = ["Face", "Saying", "Session", "Unit", "Unreachable", "Utterance", "Viseme", "VisemeError"]
