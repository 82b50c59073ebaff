"""What several tests share: it takes seconds to make."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import clips
from clips import EMPTY, HAND, SHORT, SIZE, Speech
from viseme_train.avatar.prepare import prepare


@pytest.fixture(scope="session")
def robin() -> Speech:
    torch.set_num_threads(1)
    return clips.robin(SIZE)


@pytest.fixture(scope="session")
def spoiled(robin: Speech, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Robin with a hand before her mouth, then away for a moment, and with sound that is 120 ms late."""
    frames = robin[0].copy()
    frames[HAND, 200:300, 250:390] = (110, 150, 200)
    frames[EMPTY] = (90, 70, 60)
    return clips.write(tmp_path_factory.mktemp("clip") / "robin.mp4", frames, robin[1], late=0.12)


@pytest.fixture(scope="session")
def data(spoiled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "robin"
    prepare([spoiled], folder, SHORT)
    return folder
