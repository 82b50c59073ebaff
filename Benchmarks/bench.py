"""Times `viseme render` against the plain Python pipeline on the default pack, in turn, and prints JSON.

Usage: bench.py [--pairs N] [--pack PACK] [--audio FILE]. Whole processes are timed: start-up, loading, decoding, audio,
generation, H.264 and mux. Quote the ratios: machines differ, and this one may be busy.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def timed(command: list[str]) -> dict:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    result = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": time.monotonic() - start, "cpu": cpu, "stdout": result.stdout}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--pack", default="avatars/robin.avatar")
    parser.add_argument("--audio", default="samples/hello.wav")
    arguments = parser.parse_args()
    viseme, baseline = [], []
    with tempfile.TemporaryDirectory() as folder:
        ours = [".build/release/viseme", "render", "--avatar", arguments.pack, "--audio", arguments.audio, "--force", "--json",
                "-o", f"{folder}/viseme.mp4"]
        theirs = [sys.executable, "Benchmarks/baseline/pipeline.py", arguments.pack, arguments.audio, f"{folder}/python.mp4"]
        timed(ours)  # warm the file cache
        for _ in range(arguments.pairs):
            viseme.append(timed(ours))
            baseline.append(timed(theirs))
    reports = [json.loads(run["stdout"]) for run in viseme]
    frames = reports[0]["frames"]
    cores = os.cpu_count()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    def median(values):
        return round(statistics.median(values), 3)

    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown") if Path("/proc/cpuinfo").exists() else platform.processor()
    print(json.dumps({
        "machine": {"cpu": model, "cores": cores, "system": platform.platform()},
        "versions": {"runtime": reports[0]["models"][0]["runtime"], "python": platform.python_version(), "commit": commit},
        "input": {"pack": reports[0]["avatar"], "audio": arguments.audio, "frames": frames},
        "viseme": {
            "fps": median([frames / run["wall"] for run in viseme]),
            "fpsPerCore": median([frames / run["wall"] / cores for run in viseme]),
            "cpuMillisecondsPerFrame": median([1000 * run["cpu"] / frames for run in viseme]),
            "peakMemoryMB": median([r["peakMemoryBytes"] / 1e6 for r in reports]),
            "loadingSeconds": median([r["loadingSeconds"] for r in reports]),
            "stagesMilliseconds": reports[len(reports) // 2]["stagesMilliseconds"],
        },
        "python": {
            "fps": median([frames / run["wall"] for run in baseline]),
            "cpuMillisecondsPerFrame": median([1000 * run["cpu"] / frames for run in baseline]),
        },
        "ratioPairByPair": [round(b["wall"] / v["wall"], 2) for v, b in zip(viseme, baseline)],
        "ratio": median([b["wall"] / v["wall"] for v, b in zip(viseme, baseline)]),
    }, indent=2))


if __name__ == "__main__":
    main()
