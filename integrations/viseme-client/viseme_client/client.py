"""A server and its sessions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from .errors import VisemeError
from .http import Pool
from .local import LocalServer
from .speech import Outbox, Utterance
from .units import Unit, read_units


class Viseme:
    """A Viseme server.

    Requests go over connections that are kept alive: one is enough for speech, and whatever happens at the same time (a stream
    of units, an interruption while speech is sent) takes one more.
    """

    def __init__(self, url: str = "http://127.0.0.1:8080", *, api_key: str | None = None) -> None:
        self.pool = Pool(url, api_key)
        self._server: LocalServer | None = None

    @classmethod
    async def local(
        cls, *, binary: str | Path | None = None, avatars: str | Path | None = None, options: Sequence[str] = ()
    ) -> Viseme:
        """Starts `viseme serve` on this machine, on a free port; `close` ends it.

        Args:
            binary: The program; otherwise `VISEME_BINARY`, `viseme` in the PATH, or what `make build` built in a checkout around
                the working folder.
            avatars: A folder with packs; otherwise the program's own choice, or that checkout's.
            options: More arguments of `viseme serve`.

        Raises:
            VisemeError: There is no program, with how to get it; or it does not start, with what it said.
        """
        server = LocalServer(binary, avatars, options)
        viseme = cls(await server.start())
        viseme._server = server
        return viseme

    @property
    def url(self) -> str:
        return self.pool.url

    async def revive(self) -> None:
        """Starts the local server again if it is gone; does nothing for a server elsewhere."""
        if self._server and not self._server.is_running:
            self.pool.close()
            self.pool = Pool(await self._server.start())

    async def avatars(self) -> list[dict[str, Any]]:
        """The avatars that the server has."""
        answer = await self.pool.request("GET", "/v1/avatars")
        value = json.loads(await answer.read())
        return list(value["avatars"] if isinstance(value, dict) else value)

    async def session(self, avatar: str | None = None) -> Session:
        """Begins a session.

        Args:
            avatar: The avatar's id; the server's default without one.
        """
        body = json.dumps({"avatar": avatar} if avatar else {}).encode()
        told = await self.pool.json("POST", "/v1/sessions", body, {"Content-Type": "application/json"})
        return Session(self.pool, told)

    async def close(self) -> None:
        """Closes idle connections and ends a local server."""
        self.pool.close()
        await asyncio.sleep(0)  # asyncio closes a connection in its next round
        if self._server:
            await self._server.stop()

    async def __aenter__(self) -> Viseme:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Session:
    """A live conversation: one avatar, one voice at a time."""

    def __init__(self, pool: Pool, told: dict[str, Any]) -> None:
        self._pool = pool
        self.id: str = told["id"]
        self.avatar: str = told["avatar"]
        self.width: int = told["width"]
        """Pixels of the avatar; units have the next even number."""
        self.height: int = told["height"]
        self.secret: str = told["secret"]
        self._path = f"/v1/sessions/{quote(self.id)}"
        self._headers = {"Viseme-Session-Secret": self.secret}
        self._outbox = Outbox(self._post)

    async def _post(self, path: str, body: bytes = b"", kind: str = "application/octet-stream") -> dict[str, Any]:
        return await self._pool.json("POST", self._path + path, body, {**self._headers, "Content-Type": kind})

    # MARK: Speaking

    def utterance(self, name: str | None = None, *, rate: int, channels: int = 1) -> Utterance:
        """Something to say, sample by sample. It begins with its first samples, after what was written before.

        Args:
            name: 1 to 64 letters, digits, `-`, `_`, `.` and `:`, used once in a session; otherwise a new one.
            rate: Samples per second of what will be written.
            channels: Its channels, interleaved.
        """
        return self._outbox.utterance(name, rate, channels)

    async def say(self, text: str, *, voice: str | None = None, utterance: str | None = None) -> dict[str, Any]:
        """Lets the server's text-to-speech speak; returns when the session has all of it."""
        wanted = {"text": text, "voice": voice, "utterance": utterance}
        body = json.dumps({key: value for key, value in wanted.items() if value is not None}).encode()
        return await self._post("/say", body, "application/json")

    async def upload(self, sound: bytes, *, utterance: str | None = None) -> dict[str, Any]:
        """Speaks a file's contents, such as WAV; returns when the session has all of it."""
        return await self._post(f"/audio?utterance={quote(utterance)}" if utterance else "/audio", sound, "audio/wav")

    async def interrupt(self) -> None:
        """Drops everything that was not given yet; the mouth closes with the next unit. Then the session hears again at once."""
        await self._outbox.interrupt(lambda: self._post("/interrupt"))

    # MARK: Watching

    async def units(self, *, templates: int | str = 0) -> AsyncGenerator[Unit, None]:
        """Pictures and sound, 25 units a second, from now on until the session ends.

        Args:
            templates: How many template frames are kept here, so that idle pictures need not be sent again: a number, or "all".
                0 takes 35 MB/s from a local server at 1280×720 and nothing here; "all" takes next to nothing, and 449 MB here
                for robin.

        Raises:
            VisemeError: `Unreachable` when the stream breaks off.
        """
        response = await self._pool.request("GET", f"{self._path}/units?templates={templates}", headers=self._headers)
        async for unit in read_units(response):
            yield unit

    async def events(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """The session's events: ("status", …) and ("utterance", {"id", "state", "position", "rate"})."""
        response = await self._pool.request("GET", f"{self._path}/events", headers=self._headers)
        kind = ""
        try:
            while line := await response.read_line():
                field, _, value = line.decode().strip().partition(": ")
                if field == "event":
                    kind = value
                elif field == "data":
                    yield kind, json.loads(value)
        finally:
            response.close()

    async def end(self) -> None:
        """Ends the session; streams end with complete records. Does nothing if the session is over."""
        await self._outbox.close()
        try:
            await self._pool.json("DELETE", self._path, headers=self._headers)
        except VisemeError as error:
            if error.status != 404 and error.code != "unreachable":
                raise

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()
