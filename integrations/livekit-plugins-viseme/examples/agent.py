#!/usr/bin/env python3
"""An agent with a face: LiveKit Agents and Viseme. It needs no key, and without LIVEKIT_URL no server either.

    python agent.py                                      a scripted conversation; what happens is printed
    LIVEKIT_URL=ws://… LIVEKIT_API_KEY=… LIVEKIT_API_SECRET=… python agent.py dev      joins real rooms (written, not executed by us)

Its voice is espeak-ng or flite. **Its mind is a script**: a stub in the place of an LLM. Exchange `ScriptedMind` and `ProgramVoice`
for any plugin of LiveKit's. Without VISEME_URL it starts a `viseme serve` of its own.
"""

import asyncio
import io
import os
import shutil
import subprocess
import time
import wave
from typing import Any

import livekit.rtc as rtc
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, Agent, AgentSession, APIConnectOptions, JobContext, WorkerOptions, cli, llm, tts
from livekit.agents.voice.room_io import RoomOptions
from livekit.plugins import viseme

REPLIES = [
    "Hello! I am Robin. My voice and my face are made on your own machine.",
    "Let me tell you a very long story, which nobody has ever heard to its end, because it goes on and on, and somebody always interrupts me.",
    "I need no graphics card, no key, and nobody counts my minutes.",
]


class ScriptedMind(llm.LLM):
    """In the place of an LLM: one line of the script after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.line = 0

    def chat(self, *, chat_ctx: llm.ChatContext, tools: Any = None, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS, **_: Any) -> "ScriptedStream":
        return ScriptedStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class ScriptedStream(llm.LLMStream):
    async def _run(self) -> None:
        mind = self._llm
        assert isinstance(mind, ScriptedMind)
        reply = REPLIES[mind.line % len(REPLIES)]
        mind.line += 1
        for word in reply.split(" "):
            self._event_ch.send_nowait(llm.ChatChunk(id="script", delta=llm.ChoiceDelta(role="assistant", content=word + " ")))


class ProgramVoice(tts.TTS):
    """Text-to-speech by a program that writes WAV to its standard output."""

    def __init__(self) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=22_050, num_channels=1)
        if program := shutil.which("espeak-ng"):
            self.command = [program, "--stdout"]
        elif program := shutil.which("flite"):
            self.command = [program, "-o", "/dev/stdout", "-t"]
        else:
            raise SystemExit("No voice: install espeak-ng or flite")

    def synthesize(self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS) -> "ProgramStream":
        return ProgramStream(tts=self, input_text=text, conn_options=conn_options)


class ProgramStream(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        voice = self._tts
        assert isinstance(voice, ProgramVoice)
        process = await asyncio.to_thread(subprocess.run, [*voice.command, self.input_text], stdout=subprocess.PIPE, check=True)
        # A program that writes to a pipe does not know the length, which stands in the header.
        sound = process.stdout[44:]
        with wave.open(io.BytesIO(process.stdout[:44])) as header:
            rate = header.getframerate()
        output_emitter.initialize(request_id="voice", sample_rate=rate, num_channels=1, mime_type="audio/pcm")
        output_emitter.push(sound)
        output_emitter.flush()


def avatar() -> viseme.AvatarSession:
    url = os.environ.get("VISEME_URL")
    name = os.environ.get("VISEME_AVATAR", "robin")
    return viseme.AvatarSession(avatar=name, url=url) if url else viseme.AvatarSession(avatar=name, local=True)


async def entrypoint(ctx: JobContext) -> None:
    """The agent in a real room."""
    await ctx.connect()
    session: AgentSession[None] = AgentSession(llm=ScriptedMind(), tts=ProgramVoice())
    face = avatar()
    await face.start(session, room=ctx.room)
    await session.start(Agent(instructions="Follow the script."), room=ctx.room, room_options=RoomOptions(audio_output=False))
    session.generate_reply()


class NoRoom:
    """In the place of a room: it takes the two tracks and has no listeners."""

    name = "nowhere"

    class _Participant:
        identity = "robin"

        async def publish_track(self, track: rtc.Track, options: rtc.TrackPublishOptions) -> Any:
            print(f"published: {track.name}")
            return self

        async def wait_for_subscription(self) -> None: ...

    def __init__(self) -> None:
        self.local_participant = self._Participant()

    def isconnected(self) -> bool:
        return True

    def on(self, event: str, callback: Any) -> None: ...
    def off(self, event: str, callback: Any) -> None: ...


async def conversation() -> None:
    """The agent without a room."""
    session: AgentSession[None] = AgentSession(llm=ScriptedMind(), tts=ProgramVoice())
    face = avatar()
    await face.start(session, room=NoRoom())
    session.output.audio.on("playback_finished", lambda event: print(f"  playback: {event}"))
    await session.start(Agent(instructions="Follow the script."), record=False)
    try:
        for number, line in enumerate(["Hello, who are you?", "Tell me a story.", "What do you need?"]):
            print(f"you:   {line}")
            began = time.monotonic()
            speech = session.generate_reply(user_input=line)
            if number == 1:
                await asyncio.sleep(4)
                print("       (interrupted)")
                await session.interrupt()
            await speech
            said = speech.chat_items[-1].text_content if speech.chat_items else ""
            print(f"robin: {said}\n       {time.monotonic() - began:.1f} s{', interrupted' if speech.interrupted else ''}")
    finally:
        await session.aclose()
        await face.aclose()


if __name__ == "__main__":
    if "LIVEKIT_URL" in os.environ:
        cli.run_app(WorkerOptions(entrypoint_fnc=entrypoint))
    else:
        asyncio.run(conversation())
