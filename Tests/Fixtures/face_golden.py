"""Golden landmarks of the face finder: pictures of a drawn person, and what `viseme_train.avatar.face` finds in them.

    python Tests/Fixtures/face_golden.py          needs training/ installed

The pictures follow one another as a tracker sees them: two neighbours, a jump, no face at all, a small face in a large picture, a large face that
is shrunk first. `landmarks.bin` has [frames, 468, 3] little-endian float32, not a number where there is no face; `presence.bin` one float a frame.
`figures.json` has what the training's figures say of pairs of these pictures.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from viseme_train import metrics
from viseme_train.avatar import measure, shape, video
from viseme_train.avatar.face import Models, Tracker

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "Tests/VisemeFacesTests/Golden/faces"
#: Of the template, width and height of the pictures, where the middle of the frame lands and how much it is turned (degrees) and scaled.
PICTURES = ((0, 640, 360, 320, 190, 0, 0.5), (2, 640, 360, 322, 191, 1, 0.5), (40, 640, 360, 430, 170, -8, 0.55), (None, 640, 360, 0, 0, 0, 0),
            (60, 720, 540, 200, 380, 4, 0.14), (80, 640, 720, 330, 500, 3, 1.9))


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    template = list(video.read(ROOT / "avatars/robin.avatar/template.mp4"))
    tracker = Tracker(Models())
    rows, sure, images = [], [], []
    for number, (source, width, height, x, y, turn, scale) in enumerate(PICTURES):
        if source is None:
            ramp = np.linspace(40, 200, width)[None, :, None] * np.array([0.9, 0.7, 0.5])
            image = np.repeat(ramp, height, 0).astype(np.uint8)
        else:
            frame = template[source]
            move = cv2.getRotationMatrix2D((frame.shape[1] / 2, frame.shape[0] / 2), turn, scale)
            move[:, 2] += [x - frame.shape[1] / 2, y - frame.shape[0] / 2]
            image = cv2.warpAffine(frame, move, (width, height), flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        cv2.imwrite(str(TARGET / f"{number:06d}.png"), image, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        mesh = tracker(image)
        images.append(image)
        rows.append(mesh.points if mesh else np.full((468, 3), np.nan))
        sure.append(mesh.presence if mesh else 0.0)
        print(number, mesh and round(mesh.presence, 4), mesh and shape.width(mesh.points[None])[0])
    points = np.stack(rows).astype("<f4")
    points.tofile(TARGET / "landmarks.bin")
    np.array(sure, "<f4").tofile(TARGET / "presence.bin")
    found = np.isfinite(points[:, 0, 0])
    some = points[found]
    mask = np.zeros((360, 640), np.uint8)
    cv2.ellipse(mask, (320, 220), (90, 60), 0, 0, 360, 255, -1)
    inner = mask > 0
    one, two = images[0], images[1]
    smooth = lambda grey: cv2.GaussianBlur(grey.astype(np.float32), (11, 11), 1.5)
    grey = lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    a, b = grey(one).astype(np.float32), grey(two).astype(np.float32)
    ma, mb = smooth(a), smooth(b)
    va, vb, vab = smooth(a * a) - ma * ma, smooth(b * b) - mb * mb, smooth(a * b) - ma * mb
    alike = ((2 * ma * mb + 6.5025) * (2 * vab + 58.5225)) / ((ma * ma + mb * mb + 6.5025) * (va + vb + 58.5225))
    assert abs(float(alike.mean()) - metrics.ssim(one, two)) < 1e-6
    error = ((one.astype(np.float32) - two)[inner] ** 2).mean()
    (TARGET / "figures.json").write_text(json.dumps({
        "opening": shape.aperture(some).tolist(), "width": shape.mouth_width(some).tolist(), "face": shape.width(some).tolist(), "yaw": shape.yaw(some).tolist(),
        "texture": [measure.texture(one, inner), measure.texture(two, inner)], "edge": [measure.edge_step(one, mask), measure.edge_step(two, mask)],
        "psnr": float(10 * np.log10(255 ** 2 / error)), "ssim": float(alike[inner].mean())}, indent=1) + "\n")
    cv2.imwrite(str(TARGET.parent / "mask.png"), cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR))


if __name__ == "__main__":
    main()
