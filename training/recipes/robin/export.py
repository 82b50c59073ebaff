"""Writes avatars/robin.avatar from the checkpoints: ONNX models with folded batch norm, goldens from PyTorch, the manifest.

    python export.py          needs avatars/robin.avatar/{template.mp4,crops.json} (dataset.py template)
                              and checkpoints/robin/{audio_visual_encoder.pth,<int>.pth}
"""

from __future__ import annotations

import json

import cv2
import torch

import dataset
import presenter
from viseme_train import checkpoint, config, reference
from viseme_train.synctalk2d import export


def main() -> None:
    settings = config.chosen(config.parser(__doc__, dataset.SETTINGS).parse_args())
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.manual_seed(1)
    written = export.write(settings, dataset.template_crops(settings))
    note = settings.checkpoints / "training.json"
    written["provenance"] |= {
        "trainingData": "Synthetic speech (flite, festival, espeak-ng voices reading sentences written for this project) with its phone times turned into mouth parameters, "
                        "and pictures drawn by training/recipes/robin/presenter.py with those parameters. No recording or picture of a real person.",
        "training": json.loads(note.read_text())}
    n = presenter.LOOP_FRAMES
    manifest = {
        "format": 1, "name": settings.name, "fps": presenter.FPS, "width": presenter.WIDTH, "height": presenter.HEIGHT, "frames": n,
        "template": "template.mp4", "crops": "crops.json", "templateOrder": "ping-pong", "featureWindow": "rows16",
        "geometry": {"crop": reference.CROP, "roi": reference.ROI, "border": reference.BORDER, "mask": list(reference.MASK)},
        "colourOrder": "BGR", "valueRange": [0, 1], "idle": [0, n],
        "licence": "CC0-1.0", "consent": "Robin is drawn by a program and speaks with synthetic voices; no real person is depicted or was recorded.", "synthetic": True,
        **written}
    checkpoint.save_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", settings.pack / "avatar.json")
    total = sum(p.stat().st_size for p in settings.pack.iterdir())
    print(f"{settings.pack}: {total / 1e6:.1f} MB, channels {written['provenance']['generatorChannels']}")


if __name__ == "__main__":
    main()
