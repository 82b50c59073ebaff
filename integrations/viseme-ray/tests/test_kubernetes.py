"""The manifests against Kubernetes' published schemas, and what their pods run."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from kubernetes_validate.utils import all_versions

from .clips import BINARY, ROOT, BatchTestCase

FOLDER = ROOT / "packaging/kubernetes"
SINCE = "1.33"  # podFailurePolicy and backoffLimitPerIndex are stable from here on


class Manifests(BatchTestCase):
    seconds = 9.0

    def share(self, index: int, **settings: str | Path) -> subprocess.Popen[str]:
        """A pod of two."""
        environment = {**os.environ, "PATH": f"{self.program.parent}:{os.environ['PATH']}", "JOB_COMPLETION_INDEX": str(index), "SHARES": "2"}
        environment |= {"CRF": "0", "SEGMENT_SECONDS": "4", "WAIT_SECONDS": "0.2", "WORK": str(self.place / "work"), "VISEME_BINARY": str(BINARY)}
        environment |= {name: str(value) for name, value in settings.items()}
        return subprocess.Popen([FOLDER / "share.sh"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def pods(self, **settings: str | Path) -> list[tuple[int, str]]:
        """Both, at once: status and words of each."""
        pods = [self.share(index, **settings) for index in (0, 1)]
        words = [pod.communicate()[1] for pod in pods]
        return [(pod.returncode, said) for pod, said in zip(pods, words)]

    def test_manifests_are_what_kubernetes_publishes(self) -> None:
        versions = [version for version in all_versions() if tuple(map(int, version.split(".")[:2])) >= tuple(map(int, SINCE.split(".")))]
        self.assertTrue(versions)
        for name in ("speech", "list"):
            job: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
            for version in versions:
                kubernetes_validate.validate(job, version, strict=True)
            wrong = copy.deepcopy(job)
            wrong["spec"]["template"]["spec"]["containers"][0]["volumeMount"] = []
            with self.assertRaises(kubernetes_validate.ValidationError):
                kubernetes_validate.validate(wrong, versions[-1], strict=True)
            [container] = job["spec"]["template"]["spec"]["containers"]
            environment = {entry["name"]: entry["value"] for entry in container["env"]}
            self.assertEqual(environment["SHARES"], str(job["spec"]["completions"]))
            script = (FOLDER / "share.sh").read_text()
            self.assertEqual([name for name in environment if name not in script], [])
            self.assertEqual(job["spec"]["podFailurePolicy"]["rules"][1]["onExitCodes"]["containerName"], container["name"])

    def test_pods_give_what_one_render_gives_however_they_die(self) -> None:
        output = self.place / "out/talk.mp4"
        settings: dict[str, str | Path] = {"AUDIO": self.speech, "OUTPUT": output}
        pod = self.share(1, **settings)
        while self.count("render") == 0:
            time.sleep(0.1)
        time.sleep(0.5)
        os.killpg(pod.pid, signal.SIGKILL)
        pod.communicate()
        self.assertFalse(output.exists())
        ended = self.pods(**settings)
        self.assertEqual([status for status, _ in ended], [0, 0], ended)
        self.assert_same(output)
        self.assertEqual((self.count("render"), self.count("join")), (4, 1))  # three segments, one of them twice
        self.assertEqual([status for status, _ in self.pods(**settings)], [0, 0])
        self.assertEqual((self.count("render"), self.count("join")), (4, 1))
        output.write_text("another's")
        ended = self.pods(**settings)
        self.assertEqual([status for status, _ in ended], [73, 73])
        self.assertIn("is not this batch's", ended[0][1])
        self.assertEqual(output.read_text(), "another's")

    def test_a_list_of_which_one_is_broken(self) -> None:
        broken = self.place / "broken.wav"
        broken.write_bytes(os.urandom(5000))
        listed = self.place / "list.tsv"
        listed.write_text(f"{broken}\t{self.place}/broken.mp4\n{self.place}/absent.wav\t{self.place}/absent.mp4\n{self.speech}\t{self.place}/good.mp4\trobin")
        first, second = self.pods(LIST=listed)
        self.assertEqual((first[0], second[0]), (65, 66))
        self.assertIn("is not a media file", first[1])
        self.assertIn("there is no speech", second[1])
        self.assert_same(self.place / "good.mp4")
        self.assertFalse((self.place / "broken.mp4").exists())
