"""Measures `viseme inspect`'s verdict on networks that torch makes: fresh ones, lightly trained ones, one fresh layer.

    python Tests/Fixtures/verdict_bars.py --viseme .build/release/viseme [--seeds 200]

Needs torch and viseme_train (training/); nothing is kept. Prints a table and fails when a fresh network passes or a trained one is accused.
"""
from __future__ import annotations

import argparse
import collections
import json
import subprocess
import tempfile
from pathlib import Path

import torch

from viseme_train.synctalk2d import audio_encoder, generator

WIDTHS = {"full": generator.FULL, "mobile": generator.MOBILE}


def fresh(kind: str, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return audio_encoder.AudioEncoder() if kind == "encoder" else generator.Generator(WIDTHS[kind])


def lightly(model: torch.nn.Module, rate: float, steps: int = 200) -> torch.nn.Module:
    """Some steps of Adam towards random targets; weights move, statistics are gathered."""
    is_encoder = isinstance(model, audio_encoder.AudioEncoder)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    model.train()
    for _ in range(steps):
        if is_encoder:
            y = model(torch.rand(4, 1, 80, 16) * 6 - 4)
        else:  # a 64-pixel part: the audio's 10×10 becomes 2×2
            x = torch.rand(2, 6, 64, 64)
            y = model.image(x, model.audio_model(torch.rand(2, 32, 16, 16))[..., :2, :2])
        loss = (y - torch.rand_like(y)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--viseme", required=True)
    parser.add_argument("--seeds", type=int, default=200)
    a = parser.parse_args()
    table: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)

        def verdict(path: Path) -> dict:
            return json.loads(subprocess.run([a.viseme, "inspect", path, "--json"], check=True, capture_output=True, text=True).stdout)["verdict"]

        def judge(what: str, model: torch.nn.Module, expected: set[str], converts: bool) -> dict:
            nonlocal wrong
            path = folder / "model.pth"
            torch.save(model.state_dict(), path)
            found = verdict(path)
            table[what + ", .pth fp32"][found["kind"]] += 1
            wrong += found["kind"] not in expected
            torch.save({k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}, path)
            kind = verdict(path)["kind"]
            table[what + ", .pth fp16"][kind] += 1
            wrong += kind not in expected
            torch.save(model.state_dict(), path)
            for ending in ("onnx", "mlpackage") if converts else ():
                for precision in ("fp32", "fp16"):
                    target = folder / f"model.{ending}"
                    subprocess.run([a.viseme, "convert", path, target, "--precision", precision, "--allow-untrained", "--force"], check=True, capture_output=True)
                    kind = verdict(target)["kind"]
                    table[f"{what}, .{ending} {precision}"][kind] += 1
                    wrong += kind not in expected
            return found

        for seed in range(a.seeds):
            kind = ("encoder", "mobile", "full")[seed % 3]
            judge(f"fresh {kind}", fresh(kind, seed), {"NEVER TRAINED"}, converts=seed % 10 < 3)
        print(f"{a.seeds} fresh networks: {dict(sum((c for c in table.values()), collections.Counter()))}", flush=True)
        innocent = {"TRAINED", "INITIAL SHAPE"}
        for i, rate in enumerate((1e-3, 1e-4) * 3):
            kind = ("encoder", "mobile", "full")[i // 2]
            judge(f"200 steps of Adam {rate:g}, {kind}", lightly(fresh(kind, 1000 + i), rate), innocent, converts=True)
        named = 0
        for i in range(20):
            model = lightly(fresh("mobile", 2000), 1e-3, steps=20) if i == 0 else model
            state = {k: v.clone() for k, v in model.state_dict().items()}
            layers = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Conv2d)]
            name = layers[(i * 37 + 5) % len(layers)]
            outputs, inputs, side, _ = state[name + ".weight"].shape
            other = torch.nn.Conv2d(inputs, outputs, side, bias=False)  # of the same fan-in
            state[name + ".weight"] = other.weight.data
            path = folder / "partly.pth"
            torch.save(state, path)
            found = verdict(path)
            named += found["kind"] == "PARTLY TRAINED" and found["untouchedLayers"] == [name]
        table["one fresh layer of 93, named"][f"{named} of 20"] += 1
        wrong += 20 - named
    for what, counts in table.items():
        print(f"{what:45s} {dict(counts)}")
    if wrong:
        raise SystemExit(f"{wrong} wrong verdicts")


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
