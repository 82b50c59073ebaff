"""Batches on a Ray cluster of two workers, with the real program."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.log import config_logging
from pyftpdlib.servers import ThreadedFTPServer

from .clips import BINARY, SPEECH, BatchTestCase, frames

config_logging(level=logging.ERROR)
MINUTES = float(os.environ.get("VISEME_BATCH_MINUTES", "0"))
KILL_SECONDS = 20.0 if MINUTES else 3.0


def descendants(root: int) -> dict[int, str]:
    """All processes below one, with their command lines."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
    below = {root}
    while more := {child for child, parent in parents.items() if parent in below} - below:
        below |= more
    found: dict[int, str] = {}
    for process in below - {root}:
        try:
            found[process] = (Path("/proc") / str(process) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
    return found


def runs(process: int) -> bool:
    """Whether a process is there, and not just its exit status."""
    try:
        return bool((Path("/proc") / str(process) / "cmdline").read_bytes())
    except OSError:
        return False


class OneSpeech(BatchTestCase):
    def test_is_what_one_render_gives_and_a_second_run_does_nothing(self) -> None:
        output = self.place / "talk.mp4"
        status, outcomes, words = self.batch("--audio", self.speech, "-o", output)
        self.assertEqual((status, outcomes[0]["segments"], outcomes[0]["rendered"]), (0, 4, 4), words)
        self.assert_same(output)
        self.assert_clean(self.place)
        self.assertEqual((self.count("render"), self.count("join")), (4, 1))
        self.assertEqual(list((self.place / "work/segments").iterdir()), [])

        written = output.stat()
        status, outcomes, _ = self.batch("--audio", self.speech, "-o", output)
        self.assertEqual((status, outcomes[0]["finishedBefore"], outcomes[0]["rendered"]), (0, True, 0))
        self.assertEqual((self.count("render"), self.count("join")), (4, 1))
        self.assertEqual((output.stat().st_ino, output.stat().st_mtime_ns), (written.st_ino, written.st_mtime_ns))

    def test_goes_on_where_it_was_and_replaces_nothing_unasked(self) -> None:
        output = self.place / "talk.mp4"
        self.assertEqual(self.batch("--audio", self.speech, "-o", output, "--keep")[0], 0)
        [folder] = (self.place / "work/segments").iterdir()
        next(iter(sorted(folder.iterdir()))).unlink()
        output.write_text("another's")
        status, outcomes, words = self.batch("--audio", self.speech, "-o", output)
        self.assertEqual((status, self.count("render"), output.read_text()), (73, 4, "another's"))
        self.assertIn("exists and is not this job's", words)
        status, outcomes, _ = self.batch("--audio", self.speech, "-o", output, "--force")
        self.assertEqual((status, outcomes[0]["rendered"], self.count("render")), (0, 1, 5))
        self.assert_same(output)

    def test_a_store_elsewhere(self) -> None:
        served = self.place / "served"
        served.mkdir()
        (served / "speech.wav").write_bytes(self.speech.read_bytes())

        class Handler(FTPHandler):  # a class of its own: the server keeps its settings in it
            authorizer = DummyAuthorizer()

        Handler.authorizer.add_user("viseme", "pass", str(served), perm="elradfmwMT")
        server = ThreadedFTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(server.close_all)
        root = f"ftp://viseme:pass@127.0.0.1:{server.address[1]}"
        arguments = ["--audio", f"{root}/speech.wav", "-o", f"{root}/out/talk.mp4", "--work", f"{root}/work", "--seconds", "8"]
        status, outcomes, words = self.batch(*arguments)
        self.assertEqual((status, outcomes[0]["rendered"]), (0, 2), words)
        self.assert_same(served / "out/talk.mp4")
        self.assert_clean(served)
        status, outcomes, words = self.batch(*arguments)
        self.assertEqual((status, outcomes[0]["finishedBefore"], self.count("render")), (0, True, 2), words)


class Killed(BatchTestCase):
    seconds = MINUTES * 60 or 24.0

    def test_workers_that_are_killed_lose_nothing_and_double_nothing(self) -> None:
        output = self.place / "talk.mp4"
        length = ["--seconds", "20"] if MINUTES else []
        batch = subprocess.Popen(self.command("--audio", self.speech, "-o", output, *length), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(batch.kill)
        killed: list[int] = []
        orphans: list[int] = []

        def kill() -> None:
            last = time.monotonic() - KILL_SECONDS + 1
            while batch.poll() is None:
                time.sleep(0.2)
                if time.monotonic() - last < KILL_SECONDS or (len(killed) >= 3 and not MINUTES):
                    continue
                for worker, line in descendants(batch.pid).items():
                    rendering = [child for child, of in descendants(worker).items() if f"{BINARY} render " in f"{of} " and "beyond" not in of]
                    if line.startswith("ray::") and rendering:
                        os.kill(worker, signal.SIGKILL)
                        killed.append(worker)
                        last = time.monotonic()
                        end = last + 5  # a busy machine takes its time to end a process
                        while time.monotonic() < end and any(map(runs, rendering)):
                            time.sleep(0.1)
                        orphans.extend(filter(runs, rendering))
                        break

        killer = threading.Thread(target=kill)
        killer.start()
        said, words = batch.communicate()
        killer.join()
        self.assertEqual(batch.returncode, 0, words)
        outcome = json.loads(said)
        self.assertGreaterEqual(len(killed), 2, "workers were busy and none was killed")
        self.assertEqual(orphans, [], "the program went on without its worker")
        self.assertEqual(outcome["rendered"], outcome["segments"])
        self.assertGreater(self.count("render"), outcome["segments"])  # what was killed was begun again
        self.assertEqual(self.count("join"), 1)
        self.assert_same(output)
        self.assert_clean(self.place)
        print(f"killed {len(killed)} workers: {self.count('render')} renders for {outcome['segments']} segments")


class Lists(BatchTestCase):
    seconds = 4.0

    def test_a_broken_speech_fails_alone(self) -> None:
        broken = self.place / "broken.wav"
        broken.write_bytes(os.urandom(5000))
        rows = [("good.mp4", self.speech), ("broken.mp4", broken), ("absent.mp4", self.place / "absent.wav"), ("again.mp4", self.speech), ("other.mov", SPEECH)]
        jobs = self.place / "jobs.csv"
        jobs.write_text("audio,output,crf\n" + "".join(f"{audio},{self.place / output},0\n" for output, audio in rows))
        status, outcomes, words = self.batch("--jobs", jobs)
        said = {Path(outcome["output"]).name: outcome for outcome in outcomes}
        self.assertEqual({name: outcome["status"] for name, outcome in said.items()}, {"good.mp4": 0, "broken.mp4": 65, "absent.mp4": 66, "again.mp4": 0, "other.mov": 0})
        self.assertIn(status, (65, 66))
        self.assertIn("broken.wav' is not a media file", said["broken.mp4"]["error"])
        self.assertIn("absent.wav", said["absent.mp4"]["error"])
        self.assertIn("error: ", words)
        for name in ("good.mp4", "again.mp4"):
            self.assert_same(self.place / name)
        self.assertEqual(len(frames(self.place / "other.mov")), 184)
        self.assertFalse((self.place / "broken.mp4").exists())
        # The same content for two videos is rendered once: 1 segment, and 2 of the other speech.
        self.assertEqual((self.count("render"), self.count("join")), (3, 3))
