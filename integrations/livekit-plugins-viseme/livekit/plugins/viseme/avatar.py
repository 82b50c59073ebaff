"""`AvatarSession`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import livekit.rtc as rtc
from livekit.agents import AgentSession
from livekit.agents.voice.avatar import AvatarOptions, AvatarRunner, QueueAudioOutput
from livekit.agents.voice.avatar import AvatarSession as BaseAvatarSession
from viseme_client import Face, Viseme, VisemeError

from .generator import VisemeGenerator
from .log import logger

# What Viseme gives; LiveKit converts the text-to-speech's sound to it, so that the voice keeps its whole band.
SAMPLE_RATE = 48_000
FRAMES_PER_SECOND = 25


class AvatarSession(BaseAvatarSession[str]):
    """Gives an agent a face. Start it before the agent's session:

    ```python
    avatar = viseme.AvatarSession(avatar="robin", local=True)
    await avatar.start(session, room=ctx.room)
    await session.start(agent, room=ctx.room, room_options=RoomOptions(audio_output=False))
    ```

    The agent's own participant publishes the avatar's picture and voice. When the engine fails, one error is logged, and the
    agent keeps its voice; an engine that is there again is used by the next reply.
    """

    _room: rtc.Room | None  # the base class sets it

    def __init__(
        self,
        *,
        avatar: str | None = None,
        url: str | None = None,
        local: bool = False,
        api_key: str | None = None,
        binary: str | Path | None = None,
        options: Sequence[str] = (),
        templates: int | str = 0,
    ) -> None:
        """
        Args:
            avatar: The avatar's id; the server's default without one.
            url: A running `viseme serve`; http://127.0.0.1:8080 without one.
            local: Start a `viseme serve` on this machine instead, and end it with the session.
            api_key: The server's key, if it wants one.
            binary: The program for `local`; otherwise it is searched for.
            options: More arguments for it.
            templates: How many pictures of the idle avatar are kept in this process (1.4 MB each at 1280×720), or "all".
        """
        super().__init__()
        if local and url:
            raise ValueError("Either url= or local=True: a server that runs, or one to start")
        self._avatar, self._url, self._local, self._api_key = avatar, url or "http://127.0.0.1:8080", local, api_key
        self._binary, self._options, self._templates = binary, options, templates
        self._viseme: Viseme | None = None
        self._face: Face | None = None
        self._runner: AvatarRunner | None = None

    @property
    def avatar_identity(self) -> str:
        """The agent's own participant."""
        return str(self._room.local_participant.identity) if self._room else ""

    @property
    def provider(self) -> str:
        return "viseme"

    async def start(self, agent_session: AgentSession, room: rtc.Room) -> None:
        """Begins; the tracks are published with the first picture.

        Raises:
            VisemeError: There is no engine or no such avatar.
        """
        await super().start(agent_session, room)
        try:
            self._viseme = await Viseme.local(binary=self._binary, options=self._options) if self._local else Viseme(self._url, api_key=self._api_key)
            self._face = Face(self._viseme, self._avatar, templates=self._templates, on_error=self._on_error)
            session = await self._face.start()
            sink = QueueAudioOutput(sample_rate=SAMPLE_RATE, wait_playback_start=True)
            options = AvatarOptions(
                video_width=(session.width + 1) // 2 * 2, video_height=(session.height + 1) // 2 * 2, video_fps=FRAMES_PER_SECOND,
                audio_sample_rate=SAMPLE_RATE, audio_channels=1,
            )  # fmt: skip
            self._runner = AvatarRunner(room, audio_recv=sink, video_gen=VisemeGenerator(self._face), options=options)
            await self._runner.start()
        except BaseException:
            await self.aclose()
            raise
        agent_session.output.replace_audio_tail(sink)

    def _on_error(self, error: VisemeError) -> None:
        logger.error("the avatar has failed, its voice goes on: %s", error)

    async def aclose(self) -> None:
        """Ends the avatar, and the local engine. May be called repeatedly."""
        runner, self._runner = self._runner, None
        if runner:
            await runner.aclose()
        face, self._face = self._face, None
        if face:
            await face.close()
        viseme, self._viseme = self._viseme, None
        if viseme:
            await viseme.close()
        if self._room:
            # The base class would remove the avatar's participant from the room: here that is the agent itself.
            self._room.off("connection_state_changed", self._on_connection_state_changed)
            self._room = None
        await super().aclose()
