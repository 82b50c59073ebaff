"""A room without a server. It replaces `rtc.Room` at its narrow edge: whether it is connected, and publishing the two tracks.

Everything else in the tests is LiveKit's own: `AvatarRunner`, `QueueAudioOutput`, `AVSynchronizer`, and libwebrtc's audio and video sources,
which take frames at the pace of real time whether or not anybody listens.
"""

from __future__ import annotations

from typing import Any

import livekit.rtc as rtc


class Publication:
    async def wait_for_subscription(self) -> None:
        """Somebody listens."""


class Participant:
    identity = "agent"

    def __init__(self) -> None:
        self.tracks: list[rtc.Track] = []

    async def publish_track(self, track: rtc.Track, options: rtc.TrackPublishOptions) -> Publication:
        self.tracks.append(track)
        return Publication()


class StandInRoom:
    name = "stand-in"

    def __init__(self) -> None:
        self.local_participant = Participant()
        self.remote_participants: dict[str, Any] = {}

    def isconnected(self) -> bool:
        return True

    def on(self, event: str, callback: Any = None) -> Any:
        return callback

    def off(self, event: str, callback: Any) -> None: ...
