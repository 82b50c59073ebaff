"""Lists, stores and answers of the program, without Ray."""

from __future__ import annotations

import contextlib
import io
import subprocess
import tempfile
import unittest
from pathlib import Path

from viseme_ray.__main__ import main
from viseme_ray.jobs import Job, read_jobs
from viseme_ray.program import Accident, JobFailed, failure
from viseme_ray.store import Place


class Jobs(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def list(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text)
        return self.folder / name

    def test_lists_in_both_formats(self) -> None:
        expected = [Job("/a.wav", "/a.mp4"), Job("s3://b/b.wav", "s3://b/b.mkv", "ada", 20)]
        lines = '{"audio": "/a.wav", "output": "/a.mp4"}\n\n{"audio": "s3://b/b.wav", "output": "s3://b/b.mkv", "avatar": "ada", "crf": 20}\n'
        self.assertEqual(read_jobs(self.list("jobs.jsonl", lines)), expected)
        table = "audio,output,avatar,crf\n/a.wav,/a.mp4,,\ns3://b/b.wav,s3://b/b.mkv,ada,20\n"
        self.assertEqual(read_jobs(self.list("jobs.csv", table)), expected)

    def test_what_is_not_a_job_is_named_with_its_line(self) -> None:
        good = '{"audio": "/a.wav", "output": "/a.mp4"}\n'
        for text, said in [
            (good + "[1]\n", "line 2 is not a JSON object"),
            (good + "{\n", "line 2 is not JSON"),
            ('{"audio": "/a.wav"}\n', "line 1 has no output"),
            ('{"audio": "/a.wav", "output": "/a.mp4", "colour": 1}\n', "line 1 has colour"),
            ('{"audio": "/a.wav", "output": "/a.avi"}\n', "must end in .mp4"),
            ('{"audio": "/a.wav", "output": "/a.mp4", "crf": 99}\n', "'crf' is 0…51"),
            ('{"audio": 7, "output": "/a.mp4"}\n', "'audio' is a text"),
            (good + good, "line 2 writes '/a.mp4', as line 1 does"),
            ("\n", "has no jobs"),
        ]:
            with self.subTest(text=text), self.assertRaises(ValueError) as caught:
                read_jobs(self.list("jobs.jsonl", text))
            self.assertIn(said, str(caught.exception))
        with self.assertRaises(ValueError) as caught:
            read_jobs(self.list("jobs.csv", "audio,output,crf\n/a.wav,/a.mp4,fine\n"))
        self.assertIn("line 2: 'crf' is 0…51, not 'fine'", str(caught.exception))

    def test_a_command_that_makes_no_sense_starts_nothing(self) -> None:
        for arguments, status, said in [
            (["--audio", "a.wav"], 64, "belong together"),
            (["--jobs", "a.csv", "--audio", "a.wav", "-o", "a.mp4"], 64, "or --jobs"),
            (["--jobs", "/absent.csv"], 66, "no list '/absent.csv'"),
            (["--audio", "a.wav", "-o", "a.mp4", "--seconds", "0"], 64, "--seconds is 1…86400, not 0"),
        ]:
            words = io.StringIO()
            with self.subTest(arguments=arguments), contextlib.redirect_stderr(words):
                self.assertEqual(main([*arguments, "--work", "w"]), status)
            self.assertIn(said, words.getvalue())

    def test_answers_of_the_program(self) -> None:
        def answer(status: int, words: str = "") -> Exception:
            return failure(subprocess.CompletedProcess(["viseme"], status, "", words))

        no = answer(65, "rendering 1/2\nerror: Not media.\nhint: Look at it.\n")
        self.assertIsInstance(no, JobFailed)
        self.assertEqual((str(no), getattr(no, "status", None)), ("Not media. (Look at it.)", 65))
        for status in (-9, -11, 70, 130, 137):
            self.assertIsInstance(answer(status), Accident, status)

    def test_a_file_is_put_whole_and_what_was_left_is_removed(self) -> None:
        (self.folder / "out").mkdir()
        left = self.folder / "out/.a.mp4.partial-1234"
        left.write_text("half")
        other = self.folder / "out/.b.mp4.partial-1234"
        other.write_text("another's")
        source = self.list("source", "whole")
        Place(str(self.folder / "out/a.mp4")).put(source)
        self.assertEqual((self.folder / "out/a.mp4").read_text(), "whole")
        self.assertEqual(sorted(path.name for path in (self.folder / "out").iterdir()), [other.name, "a.mp4"])
        with self.assertRaises(OSError):
            Place(str(self.folder / "out/a.mp4")).put(self.folder / "absent")
        self.assertEqual(sorted(path.name for path in (self.folder / "out").iterdir()), [other.name, "a.mp4"])
