"""Files that are whole at any moment: written under another name, then renamed over the old one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a name to write to; it becomes `path` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        yield scratch
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def save(value: object, path: Path) -> None:
    """Saves with torch. Stopped at any moment, the old checkpoint or the new one is there, whole."""
    with replacing(path) as scratch:
        torch.save(value, scratch)


def save_text(text: str, path: Path) -> None:
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def load(path: Path) -> Any:
    """Tensors and plain values only, on the CPU."""
    return torch.load(path, map_location="cpu", weights_only=True)


def plain_state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The state dict on the CPU, in the usual memory layout: what is shipped."""
    return {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}


def numbered(folder: Path) -> list[Path]:
    """The checkpoints `<steps>.pth` of a folder, oldest first."""
    return sorted((p for p in folder.glob("*.pth") if p.stem.isdigit()), key=lambda p: int(p.stem))


def save_numbered(state: dict[str, torch.Tensor], folder: Path, steps: int) -> Path:
    """Saves `<steps>.pth`; the other numbered ones go once the new one is on the disk."""
    newest = folder / f"{steps}.pth"
    save(state, newest)
    for old in numbered(folder):
        if old != newest:
            old.unlink()
    return newest


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
