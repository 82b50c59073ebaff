"""`VisemeVideoService`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputImageRawFrame,
    StartFrame,
    SystemFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.ai_service import AIService
from pipecat.services.settings import ServiceSettings
from pipecat.utils.errors import ErrorCategory
from viseme_client import Face, Saying, Unit, Viseme, VisemeError

from .pictures import rgb

# Rounding between rates: frames that stand at a place in the speech are passed on behind the unit that reaches it.
TOLERANCE_SECONDS = 0.001


@dataclass
class _Speech:
    """What one context of the text-to-speech says, and the frames that came behind parts of it."""

    context: str | None
    saying: Saying
    written: float = 0.0
    held: deque[tuple[float, Frame]] = field(default_factory=deque)
    is_voiced = False


class VisemeVideoService(AIService):
    """Gives an agent a face. Place it between the text-to-speech and `transport.output()`.

    The speech goes to a Viseme engine, and comes back in step with its pictures, 25 a second, idle ones, too. Frames that the
    text-to-speech pushed behind speech (its `TTSStoppedFrame`, texts, the end of the response) follow when that speech was spoken,
    as they do in an output transport without an avatar. Other frames pass at once.

    The transport needs `video_out_enabled`, `video_out_is_live`, `video_out_framerate=30`, and the avatar's size as
    `video_out_width` and `video_out_height`; it keeps picture and sound together best with `audio_out_auto_silence=False` and
    `silence=True` here.

    When the engine fails, one error is pushed, and the speech passes through without pictures. An engine that is there again
    is used by the next utterance.
    """

    def __init__(
        self,
        *,
        avatar: str | None = None,
        url: str = "http://127.0.0.1:8080",
        api_key: str | None = None,
        local: bool = False,
        binary: str | Path | None = None,
        options: Sequence[str] = (),
        templates: int | str = 0,
        silence: bool = False,
        settings: ServiceSettings | None = None,
        **kwargs: Any,
    ) -> None:
        """
        Args:
            avatar: The avatar's id; the server's default without one.
            url: A running `viseme serve`.
            api_key: Its key, if it wants one.
            local: Start a `viseme serve` on this machine instead, and end it with the pipeline.
            binary: The program for that; otherwise it is searched for.
            options: More arguments for it.
            templates: How many pictures of the idle avatar are kept in this process (1.4 MB each at 1280×720), or "all".
            silence: Push silence while nothing is said, so that there is sound for every picture: for transports with
                `audio_out_auto_silence=False`, and only for them.
            settings: As for every Pipecat service; Viseme has none that change while it runs.
            kwargs: For `AIService`.
        """
        super().__init__(settings=settings or ServiceSettings(model=None), **kwargs)
        self._avatar, self._url, self._api_key, self._templates = avatar, url, api_key, templates
        self._local, self._binary, self._options = local, binary, options
        self._silence = silence
        self._viseme: Viseme | None = None
        self._face: Face | None = None
        self._render_task: asyncio.Task[None] | None = None
        self._interrupting: set[asyncio.Task[None]] = set()
        self._speeches: deque[_Speech] = deque()
        self._is_silent = asyncio.Event()
        self._is_silent.set()

    def can_generate_metrics(self) -> bool:
        """Time from the first byte of speech to the first picture that speaks it."""
        return True

    # MARK: Life

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Starts the local engine."""
        await super().setup(setup)
        try:
            self._viseme = await Viseme.local(binary=self._binary, options=self._options) if self._local else Viseme(self._url, api_key=self._api_key)
        except VisemeError as error:
            await self.push_error(f"No avatar: {error}", exception=error, category=ErrorCategory.UNKNOWN)

    async def stop(self, frame: EndFrame) -> None:
        """Ends after everything was spoken."""
        await super().stop(frame)
        if self._speeches:
            await self._speeches[-1].saying.finish()
            await self._is_silent.wait()
        await self._close()

    async def cancel(self, frame: CancelFrame) -> None:
        """Ends at once."""
        await super().cancel(frame)
        await self._close()

    async def cleanup(self) -> None:
        """Ends what is left; may be called repeatedly."""
        await super().cleanup()
        await self._close()

    async def _begin(self) -> None:
        if self._viseme and not self._face:
            self._face = Face(self._viseme, self._avatar, templates=self._templates, on_error=self._on_error)
            self._face.start_anyway()
            self._render_task = self.create_task(self._render(self._face))

    async def _close(self) -> None:
        face, self._face = self._face, None
        viseme, self._viseme = self._viseme, None
        task, self._render_task = self._render_task, None
        if task:
            await self.cancel_task(task)
        if face:
            await face.close()
        if viseme:
            await viseme.close()
        await self._release_all(only_uninterruptible=False)

    def _on_error(self, error: VisemeError) -> None:
        self._soon(self.push_error(f"The avatar has failed, its voice goes on: {error}", exception=error, category=ErrorCategory.UNKNOWN))

    def _soon(self, doing: Any) -> None:
        task = asyncio.create_task(doing)
        self._interrupting.add(task)
        task.add_done_callback(self._interrupting.discard)

    # MARK: In

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Takes speech; see the class for the rest."""
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            # Every processor sees StartFrame before the first picture.
            await self.push_frame(frame, direction)
            await self._begin()
        elif isinstance(frame, InterruptionFrame):
            await self._interrupt()
            await self.push_frame(frame, direction)
        elif isinstance(frame, TTSAudioRawFrame) and direction == FrameDirection.DOWNSTREAM and self._face:
            await self._speak(frame, self._face)
        elif self._belongs_to_speech(frame, direction):
            speech = self._speeches[-1]
            speech.held.append((speech.written, frame))
            if isinstance(frame, TTSStoppedFrame) and frame.context_id in (None, speech.context):
                await speech.saying.finish()
        else:
            await self.push_frame(frame, direction)

    def _belongs_to_speech(self, frame: Frame, direction: FrameDirection) -> bool:
        """Whether a frame has its place behind speech that was not spoken yet. Frames with a time of their own wait in the transport."""
        if direction != FrameDirection.DOWNSTREAM or not self._speeches or frame.pts:
            return False
        is_picture = isinstance(frame, OutputImageRawFrame) and not frame.sync_with_audio
        return not is_picture and not isinstance(frame, (SystemFrame, EndFrame))

    async def _speak(self, frame: TTSAudioRawFrame, face: Face) -> None:
        speech = self._speeches[-1] if self._speeches else None
        if not speech or speech.saying.is_finished or speech.context != frame.context_id:
            if speech:
                await speech.saying.finish()
            speech = _Speech(frame.context_id, face.saying(rate=frame.sample_rate, channels=frame.num_channels))
            self._speeches.append(speech)
            self._is_silent.clear()
            await self.start_ttfb_metrics()
        speech.written += len(frame.audio) / (2 * frame.num_channels * frame.sample_rate)
        await speech.saying.write(frame.audio)

    async def _interrupt(self) -> None:
        if self._face:
            self._face.drop()
            self._soon(self._face.interrupt())
        await self._release_all(only_uninterruptible=True)

    async def _release_all(self, *, only_uninterruptible: bool) -> None:
        speeches, self._speeches = self._speeches, deque()
        self._is_silent.set()
        for speech in speeches:
            for _, frame in speech.held:
                if not only_uninterruptible or not frame.interruptible:
                    await self.push_frame(frame)

    # MARK: Out

    async def _render(self, face: Face) -> None:
        async for unit in face.units():
            try:
                await self._give(unit)
            except Exception as error:  # otherwise one bad picture would end the video for good
                logger.exception(f"{self}: unit {unit.number}")
                await self.push_error(f"A picture was lost: {error}", exception=error, category=ErrorCategory.UNKNOWN)

    async def _give(self, unit: Unit) -> None:
        speech = next((speech for speech in self._speeches if speech.saying.name == unit.utterance), None)
        if unit.is_new and (speech or not unit.utterance):
            picture = rgb(unit.picture, unit.width, unit.height)
            await self.push_frame(OutputImageRawFrame(image=picture, size=(unit.width, unit.height), format="RGB"))
        if not speech or speech.saying.is_interrupted:  # idle, or what an interruption dropped
            await self._push_silence(unit)
            return
        if unit.speech:
            if unit.is_new and not speech.is_voiced:
                speech.is_voiced = True
                await self.stop_ttfb_metrics()
            # The whole unit, with the zeros that fill an utterance's last one: transports take sound in pieces of this length.
            await self.push_frame(TTSAudioRawFrame(unit.sound, unit.rate, unit.channels, context_id=speech.context))
        else:
            await self._push_silence(unit)
        reached = unit.position / unit.rate + TOLERANCE_SECONDS
        while speech.held and (unit.end or speech.held[0][0] <= reached):
            await self.push_frame(speech.held.popleft()[1])
        if unit.end and speech in self._speeches:
            self._speeches.remove(speech)
            if not self._speeches:
                self._is_silent.set()

    async def _push_silence(self, unit: Unit) -> None:
        if self._silence and not unit.is_mark:
            await self.push_frame(OutputAudioRawFrame(bytes(len(unit.sound)), unit.rate, unit.channels))
