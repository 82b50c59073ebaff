"""Viseme avatars for LiveKit Agents: on your own machine, without a key, a meter or a GPU."""

from livekit.agents import Plugin

from .avatar import AvatarSession
from .generator import VisemeGenerator
from .log import logger
from .version import __version__

__all__ = ["AvatarSession", "VisemeGenerator", "__version__"]


class VisemePlugin(Plugin):
    def __init__(self) -> None:
        super().__init__(__name__, __version__, __package__ or __name__, logger)


Plugin.register_plugin(VisemePlugin())
