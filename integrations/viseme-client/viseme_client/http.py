"""HTTP/1.1 as far as a Viseme server speaks it, over asyncio's streams: kept-alive connections, chunked bodies."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .errors import Unreachable, VisemeError

# A unit with a picture is 1.4 MB at 1280×720; asyncio stops reading from the socket at twice this.
BUFFER = 2 << 20
CONNECT_SECONDS = 5.0


class Connection:
    """One connection; it carries one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @property
    def is_usable(self) -> bool:
        return not self.writer.is_closing() and not self.reader.at_eof() and self.reader.exception() is None

    def close(self) -> None:
        self.writer.close()


class Response:
    """An answer whose body may still be arriving."""

    def __init__(self, pool: Pool, connection: Connection, status: int, headers: dict[str, str]) -> None:
        self.status, self.headers = status, headers
        self._pool, self._connection = pool, connection
        self._is_chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        # Bytes of the body, or of its present chunk, that were not read.
        self._left = 0 if self._is_chunked or status == 204 else int(headers.get("content-length", 0))
        self._is_over = not self._is_chunked and self._left == 0
        if self._is_over:
            self._release()

    async def read_exactly(self, count: int, *, may_end: bool = False) -> bytes:
        """The next bytes of the body.

        Args:
            may_end: Whether the body may end before them; then nothing is returned.

        Raises:
            Unreachable: The body broke off.
        """
        parts: list[bytes] = []
        wanted = count
        try:
            while wanted:
                if not self._left and not await self._next_chunk():
                    break
                piece = await self._connection.reader.readexactly(min(wanted, self._left))
                parts.append(piece)
                wanted -= len(piece)
                self._left -= len(piece)
            if not self._left and not self._is_chunked and not self._is_over:
                self._release()
        except (OSError, EOFError, ValueError) as error:
            self.close()
            raise Unreachable(f"The server closed the connection: {error}") from error
        except BaseException:
            self.close()
            raise
        if wanted and (parts or not may_end):
            raise Unreachable(f"The body ends {wanted} bytes early")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _next_chunk(self) -> bool:
        if self._is_over or not self._is_chunked:
            return False
        reader = self._connection.reader
        line = await reader.readline()
        if line == b"\r\n":  # the end of the chunk before
            line = await reader.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("in the middle of a body")
        self._left = int(line.split(b";")[0], 16)
        if self._left:
            return True
        while await reader.readline() not in (b"\r\n", b""):
            pass
        self._release()
        return False

    async def read(self) -> bytes:
        """The rest of the body."""
        parts = []
        while piece := await self.read_exactly(self._left or 1, may_end=True):
            parts.append(piece)
        return b"".join(parts)

    async def read_line(self) -> bytes:
        """The next line of the body; empty at its end."""
        line = bytearray()
        while not line.endswith(b"\n") and (byte := await self.read_exactly(1, may_end=True)):
            line += byte
        return bytes(line)

    def _release(self) -> None:
        self._is_over = True
        self._pool.give_back(self._connection, self.headers)

    def close(self) -> None:
        """Closes the connection, if the body was not read to its end."""
        if not self._is_over:
            self._is_over = True
            self._connection.close()


class Pool:
    """Kept-alive connections to one server."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"'{url}' is not the address of a server, expected http://HOST:PORT")
        self.url = url.rstrip("/")
        self._host, self._netloc = parts.hostname, parts.netloc.rpartition("@")[2]
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._idle: list[Connection] = []
        self._is_closed = False

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Response:
        """Sends a request.

        Returns:
            The answer, when its head has arrived.

        Raises:
            VisemeError: The server's error; `Unreachable` without an answer.
        """
        connection = await self._connect()
        lines = [f"{method} {self._prefix}{path} HTTP/1.1", f"Host: {self._netloc}"]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in {**self._headers, **(headers or {})}.items()]
        try:
            connection.writer.writelines([("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), body])
            await connection.writer.drain()
            status, answered = await _head(connection.reader)
        except (OSError, EOFError, ValueError) as error:
            connection.close()
            raise Unreachable(f"{self.url} gave no answer to {method} {path}: {error or type(error).__name__}") from error
        except BaseException:
            # A request that was cancelled leaves an answer behind that belongs to nobody.
            connection.close()
            raise
        response = Response(self, connection, status, answered)
        if status >= 400:
            raise _error(status, await response.read())
        return response

    async def json(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The JSON object that the server answers; empty without a body."""
        response = await self.request(method, path, body, headers)
        data = await response.read()
        try:
            value = json.loads(data) if data else {}
        except ValueError as error:
            raise VisemeError(f"The server answered {method} {path} with {data[:40]!r}, expected JSON") from error
        if not isinstance(value, dict):
            raise VisemeError(f"The server answered {method} {path} with {type(value).__name__}, expected an object")
        return value

    async def _connect(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
            connection.close()
        try:
            opening = asyncio.open_connection(self._host, self._port, ssl=self._tls, limit=BUFFER)
            return Connection(*await asyncio.wait_for(opening, CONNECT_SECONDS))
        except (OSError, TimeoutError, asyncio.TimeoutError) as error:
            raise Unreachable(
                f"No Viseme server answers at {self.url}: {error or 'timeout'}", "Start one: viseme serve"
            ) from error

    def give_back(self, connection: Connection, headers: Mapping[str, str]) -> None:
        """Keeps a connection for the next request."""
        if self._is_closed or headers.get("connection", "").lower() == "close" or not connection.is_usable:
            connection.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Closes what is idle; running requests go on to their end."""
        self._is_closed = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    status = 100
    while 100 <= status < 200:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        version, _, rest = lines[0].partition(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError(f"'{lines[0][:40]}' is not HTTP/1.1")
        status = int(rest[:3])
    pairs = (line.split(":", 1) for line in lines[1:] if ":" in line)
    return status, {name.strip().lower(): value.strip() for name, value in pairs}


def _error(status: int, body: bytes) -> VisemeError:
    try:
        told = json.loads(body)["error"]
        return VisemeError(told["message"], code=told["code"], status=status, hint=told.get("hint"))
    except (ValueError, KeyError, TypeError):
        return VisemeError(f"The server answered {status}", status=status)
