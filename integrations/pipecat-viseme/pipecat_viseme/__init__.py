"""Viseme avatars for Pipecat."""

from .video import VisemeVideoService

__all__ = ["VisemeVideoService"]
