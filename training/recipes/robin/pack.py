"""Writes robin's pack of the compact family from its checkpoints: models, mask, crops, goldens, the manifest.

    python recipes/robin/pack.py       needs <pack>/template.mp4 and what `pictures.py` makes
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

import pictures
import presenter
from viseme_train import checkpoint, config
from viseme_train.compact import export
from viseme_train.compact.settings import CompactConfig


def main() -> None:
    a = config.parser(__doc__, Path(__file__).with_name("robin.toml")).parse_args()
    settings = config.read(CompactConfig, a.config, a.set)
    torch.set_num_threads(1)
    drawn = settings.work / "pictures"
    written = export.write(settings, np.load(drawn / "template.npy"), np.load(drawn / "mask.npy"))
    written["provenance"] |= {
        "trainingData": "The mouth's movements: human speech (NOTICE names the corpora) and synthetic speech, with phone times turned into mouth parameters. "
                        "The pictures: drawn by training/recipes/robin/presenter.py with such parameters. No picture of a real person.",
        "training": {name: json.loads((settings.checkpoints / f"{name}.json").read_text(encoding="utf-8")) for name in ("listener", "painter")}}
    n = presenter.LOOP_FRAMES
    checkpoint.save_text(json.dumps({"squares": [list(pictures.box(k)) for k in range(n)]}, separators=(",", ":")) + "\n", settings.pack / "crops.json")
    size = [pictures.WIDTH, pictures.HEIGHT]
    manifest = {
        "format": 1, "name": settings.name, "fps": presenter.FPS, "width": presenter.WIDTH, "height": presenter.HEIGHT, "frames": n,
        "template": "template.mp4", "crops": "crops.json", "templateOrder": "ping-pong", "geometry": {"crop": size, "roi": size, "border": 0},
        "colourOrder": "BGR", "valueRange": [0, 1], "idle": [0, n],
        "licence": "CC0-1.0", "consent": "Robin is drawn by a program; no real person is depicted.", "synthetic": True, **written}
    checkpoint.save_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", settings.pack / "avatar.json")


if __name__ == "__main__":
    main()
