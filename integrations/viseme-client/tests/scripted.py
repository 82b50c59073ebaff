"""A server that answers what a test tells it to: for what no well server does. And records of units, made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from viseme_client.units import HEADER, NO_TEMPLATE

Answer = Callable[[str, bytes, asyncio.StreamWriter], Awaitable[None]]


def record(
    number: int = 0, *, state: int = 0, flags: int = 0, kind: int = 0, name: str = "", template: int = NO_TEMPLATE,
    picture: bytes = b"", sound: bytes = b"", position: int = 0, size: tuple[int, int] = (2, 2), later: bytes = b"",
    magic: bytes = b"VSMU", version: int = 1,
) -> bytes:  # fmt: skip
    head = HEADER.pack(
        magic, version, HEADER.size + len(later), number, 0, state, flags, kind, len(name), *size, template, len(picture), 48_000, 1, 0,
        len(sound), 0, position,
    )  # fmt: skip
    return head + later + name.encode() + picture + sound


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunk(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


class ScriptedServer:
    """Counts connections and requests; `answer` is called for each request with its line and body."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.connections = 0
        self.requests: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ScriptedServer:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                lengths = [int(line.split(":")[1]) for line in head if line.lower().startswith("content-length")]
                body = await reader.readexactly(lengths[0] if lengths else 0)
                self.requests.append(head[0])
                await self._answer(head[0], body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
