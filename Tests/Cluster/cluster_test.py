"""Three servers behind the real HAProxy with the shipped configuration: `make test-cluster`.

Asked is what docs/scale.md promises: capacities add up, ids lead to their server, a killed server takes only its own sessions along and those
begin again elsewhere, a draining one loses none. The avatar is a tiny one of the tests: six speak at once on two cores.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import shutil
import signal
import socket
import struct
import tempfile
import time
import unittest
from pathlib import Path

from viseme_client import Face, Unit, Viseme, VisemeError

ROOT = Path(__file__).resolve().parents[2]

NODES = ("n1", "n2", "n3")
PER_NODE = 3
RATE = 16_000


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def tone(seconds: float) -> bytes:
    """A swelling tone as s16le."""
    return b"".join(struct.pack("<h", int(9000 * math.sin(i / 9) * math.sin(i / RATE * 9) ** 2)) for i in range(int(seconds * RATE)))


async def eventually(what: str, seconds: float, condition: object) -> None:
    """Waits until a condition holds."""
    start = time.monotonic()
    while not condition():  # type: ignore[operator]
        if time.monotonic() - start > seconds:
            raise TimeoutError(f"{what}: not within {seconds} s")
        await asyncio.sleep(0.01)


class Node:
    """One `viseme serve`."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.port = name, free_port()
        self.config = folder / f"{name}.json"
        settings = {
            "node": name, "port": self.port, "maxSessions": PER_NODE, "maxSessionsPerClient": 100, "maxSpeaking": PER_NODE, "maxSpeakingPerClient": PER_NODE,
            "trustedProxies": ["127.0.0.1"], "drainSeconds": 60, "data": str(folder / name), "avatars": [str(ROOT / "Tests/VisemeCLITests/Golden")],
            "defaultAvatar": "tiny", "logLevel": "warning",
        }  # fmt: skip
        self.config.write_text(json.dumps(settings))

    async def start(self) -> None:
        environment = dict(os.environ)
        environment.setdefault("VISEME_ONNXRUNTIME", str(next((ROOT / ".deps/onnxruntime").rglob("libonnxruntime.so"))))
        binary = os.environ.get("VISEME_BINARY", str(ROOT / ".build/release/viseme"))
        self.process = await asyncio.create_subprocess_exec(
            binary, "serve", "--config", str(self.config), env=environment, stdout=asyncio.subprocess.PIPE
        )  # fmt: skip
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 60)
        if b"serves at" not in line:
            raise RuntimeError(f"{self.name} says {line!r}")


class Speaker:
    """A face that speaks all the time, and what was seen of it."""

    def __init__(self, viseme: Viseme) -> None:
        self.errors: list[VisemeError] = []
        self.face = Face(viseme, "tiny", templates="all", on_error=self.errors.append)
        self.units: list[Unit] = []

    async def start(self, test: unittest.IsolatedAsyncioTestCase) -> None:
        await self.face.start()
        test.addAsyncCleanup(self.close)
        self.tasks = [asyncio.create_task(self._speak()), asyncio.create_task(self._read())]

    async def _speak(self) -> None:
        sound = tone(0.5)
        while True:
            saying = self.face.saying(rate=RATE)
            for _ in range(4):
                await saying.write(sound)
            await saying.finish()
            await asyncio.sleep(1.9)

    async def _read(self) -> None:
        async for unit in self.face.units():
            self.units.append(unit)

    @property
    def node(self) -> str:
        session = self.face._session
        return session.id.split("-")[0] if session else ""

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.face.close()

    def holes(self, since: int) -> int:
        """Units that are missing between those of the engine."""
        numbers = [unit.number for unit in self.units[since:] if not unit.is_mark]
        return sum(b - a != 1 for a, b in zip(numbers, numbers[1:]))


class ClusterTests(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        program = shutil.which("haproxy") or "/usr/sbin/haproxy"
        if not os.access(program, os.X_OK):
            self.fail("there is no haproxy: apt install haproxy")
        # Its debugging takes more than the test.
        asyncio.get_running_loop().set_debug(False)
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        self.nodes = {name: Node(name, folder) for name in NODES}
        self.addAsyncCleanup(self.stop)
        for node in self.nodes.values():
            await node.start()
        port = free_port()
        text = (ROOT / "packaging/haproxy/haproxy.cfg").read_text()
        text = re.sub(r"\b(n[123]):8080", lambda m: f"127.0.0.1:{self.nodes[m.group(1)].port}", text)
        text = text.replace("bind :8080", f"bind 127.0.0.1:{port}")
        (folder / "haproxy.cfg").write_text(text)
        self.proxy = await asyncio.create_subprocess_exec(program, "-db", "-f", str(folder / "haproxy.cfg"))
        await asyncio.sleep(1.5)
        self.viseme = Viseme(f"http://127.0.0.1:{port}")
        self.addAsyncCleanup(self.viseme.close)

    async def stop(self) -> None:
        for process in [self.proxy, *(node.process for node in self.nodes.values())]:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def test_capacities_add_up(self) -> None:
        sessions = [await self.viseme.session("tiny") for _ in range(PER_NODE * len(NODES))]
        count = {name: sum(s.id.startswith(name + "-") for s in sessions) for name in NODES}
        self.assertEqual(count, dict.fromkeys(NODES, PER_NODE))
        with self.assertRaises(VisemeError) as caught:
            await self.viseme.session("tiny")
        self.assertEqual((caught.exception.code, caught.exception.status), ("busy", 503))
        # Every id leads to its server.
        for session in sessions:
            await session.interrupt()
        freed = sessions[4]
        await freed.end()
        await asyncio.sleep(1.2)
        again = await self.viseme.session("tiny")
        self.assertEqual(again.id.split("-")[0], freed.id.split("-")[0], "where the room is")
        for session in [*sessions, again]:
            await session.end()

    async def test_a_killed_server_takes_only_its_own_sessions_along(self) -> None:
        speakers = [Speaker(self.viseme) for _ in range(6)]
        for speaker in speakers:
            await speaker.start(self)
        self.assertEqual(sorted(s.node for s in speakers), sorted(NODES * 2))
        await asyncio.sleep(3)
        before = {s: (s.node, len(s.units)) for s in speakers}
        lost = [s for s in speakers if s.node == "n2"]
        others = [s for s in speakers if s.node != "n2"]
        self.nodes["n2"].process.kill()
        start = time.monotonic()
        await eventually("both are noticed", 2, lambda: all(s.node != "n2" for s in lost))
        await eventually("both have begun elsewhere", 5, lambda: all(s.node for s in lost))
        seconds = time.monotonic() - start
        await asyncio.sleep(3)
        holes = [s.holes(before[s][1]) for s in others]
        print(f"cluster: begun elsewhere after {seconds:.2f} s; holes of the others {holes}", flush=True)
        self.assertLessEqual(seconds, 2)
        self.assertTrue(all(s.node in ("n1", "n3") and len(s.errors) == 1 for s in lost))
        self.assertEqual([s.node for s in others], [before[s][0] for s in others], "nobody else moved")
        self.assertEqual(holes, [0] * 4)
        self.assertEqual([s.errors for s in others], [[]] * 4)
        spoken = [sum(u.state == "speaking" for u in s.units[before[s][1] :]) for s in speakers]
        self.assertGreater(min(spoken), 20, "all speak")
        # Its successor is found by itself.
        await self.nodes["n2"].start()
        await asyncio.sleep(1.2)
        new = [await self.viseme.session("tiny") for _ in range(3)]
        self.assertTrue(all(s.id.startswith("n2-") for s in new), [s.id for s in new])
        for closing in [*new, *speakers]:
            await (closing.close() if isinstance(closing, Speaker) else closing.end())

    async def test_a_draining_server_loses_nobody(self) -> None:
        speakers = [Speaker(self.viseme) for _ in range(3)]
        for speaker in speakers:
            await speaker.start(self)
        drained = next(s for s in speakers if s.node == "n1")
        process = self.nodes["n1"].process
        process.send_signal(signal.SIGTERM)
        since = len(drained.units)
        await asyncio.sleep(1.2)
        new = [await self.viseme.session("tiny") for _ in range(4)]
        self.assertFalse([s.id for s in new if s.id.startswith("n1-")])
        await asyncio.sleep(2)
        self.assertIsNone(process.returncode, "its session goes on")
        self.assertEqual((drained.node, drained.holes(since), drained.errors), ("n1", 0, []))
        self.assertGreater(sum(u.state == "speaking" for u in drained.units[since:]), 40)
        for closing in [*speakers, *new]:
            await (closing.close() if isinstance(closing, Speaker) else closing.end())
        self.assertEqual(await asyncio.wait_for(process.wait(), 15), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
