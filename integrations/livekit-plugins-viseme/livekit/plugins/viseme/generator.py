"""Between LiveKit's `AvatarRunner` and a Viseme session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import livekit.rtc as rtc
from livekit.agents.voice.avatar import AudioSegmentEnd, VideoGenerator
from viseme_client import Face, Saying, Unit

# How long an interruption waits until the runner has pushed the frame that it holds: its queue of sound has 100 ms.
RUNNER_SECONDS = 1.0


class VisemeGenerator(VideoGenerator):
    """Gives each unit's picture and then its sound: the order is the synchronisation.

    `AudioSegmentEnd` comes after the last sound of a segment, once a segment, and never for one that was interrupted: its end is
    told by the runner.
    """

    def __init__(self, face: Face) -> None:
        """
        Args:
            face: It gives sound at its engine's rate, and takes any; when the engine fails, the runner gets the sound as it came in.
        """
        self._face = face
        self._saying: Saying | None = None
        self._clears = 0
        self._is_asked = asyncio.Event()

    async def push_audio(self, frame: rtc.AudioFrame | AudioSegmentEnd) -> None:
        """Says a piece of the segment; waits while it is seconds ahead."""
        if isinstance(frame, AudioSegmentEnd):
            saying, self._saying = self._saying, None
            if saying:
                await saying.finish()
            return
        if not self._saying:
            self._saying = self._face.saying(rate=frame.sample_rate, channels=frame.num_channels)
        await self._saying.write(frame.data.tobytes())

    async def clear_buffer(self) -> None:
        """Drops what was not given. When it returns, the runner holds no frame of it: one that was pushed later would count for
        the next segment."""
        self._saying = None
        self._clears += 1
        self._face.drop()
        interrupting = asyncio.create_task(self._face.interrupt())
        try:
            await asyncio.wait_for(self._is_asked.wait(), RUNNER_SECONDS)
        except (TimeoutError, asyncio.TimeoutError):
            pass  # the runner is stuck in its own queue; the segment is over all the same
        await interrupting

    def __aiter__(self) -> AsyncIterator[rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd]:
        return self._frames()

    async def _frames(self) -> AsyncGenerator[rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd, None]:
        self._is_asked.set()
        async for unit in self._face.units():
            clears = self._clears
            for frame in _parts(unit):
                if clears != self._clears and unit.utterance:
                    break
                self._is_asked.clear()
                yield frame
                self._is_asked.set()


def _parts(unit: Unit) -> list[rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd]:
    parts: list[rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd] = []
    # A late picture is the one before once more: the runner counts on 25 a second.
    if unit.state != "ended" and not unit.is_mark and unit.picture:
        parts.append(rtc.VideoFrame(unit.width, unit.height, rtc.VideoBufferType.I420, unit.picture))
    if unit.speech:
        count = len(unit.speech) // (2 * unit.channels)
        parts.append(rtc.AudioFrame(unit.speech, unit.rate, unit.channels, count))
    if unit.end:
        parts.append(AudioSegmentEnd())
    return parts
