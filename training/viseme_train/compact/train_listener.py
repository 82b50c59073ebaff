"""Trains audio encoder and listener together: from speech to the mouth of every frame.

    python -m viseme_train.compact.train_listener --config recipes/robin/robin.toml

The encoder reads each column once over a piece of speech, the listener says the seven mouth parameters of every frame of it. A
linear layer tells the phones around each frame from the same code. Resumes from `<work>/listener.ckpt`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from viseme_train import augment
from viseme_train.compact import front_end
from viseme_train.compact.networks import CODE, Articulator, AudioEncoder, Listener
from viseme_train.compact.run import Run, command
from viseme_train.compact.settings import CompactConfig, ListenerSettings
from viseme_train.phonemes import CANONICAL
from viseme_train.reference import frame_count

#: The phones of these frames beside its own.
OFFSETS = (-2, 0, 2)
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class Ear(nn.Module):
    """Encoder, listener, and a layer that tells phones."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.listener = AudioEncoder(), Listener()
        self.phones = nn.Conv1d(CODE, len(CANONICAL) * len(OFFSETS), 1)

    def articulator(self) -> Articulator:
        """The networks behind the encoder as one that is shipped: mouth and the phones of the frame itself."""
        count = len(CANONICAL)
        return Articulator(self.listener, self.phones, OFFSETS.index(0) * count, count).eval()

    @torch.no_grad()
    def level(self, wave: np.ndarray) -> None:
        """Makes the feature rows of some speech vary by 1, and the listener's first layer take that back: it hears the same as before.

        Weight decay shrinks the one and lets the other grow, and rows that are small look like those of random weights.
        """
        last = self.encoder.layers[-1]
        share = 1 / float(self.hear(wave)[0].std())
        last.weight *= share
        last.bias *= share
        self.listener.first.weight /= share

    @torch.inference_mode()
    def hear(self, wave: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """A whole sound, as a render hears it: feature rows (rows, 96), code (frames, 128) and mouth (frames, 7); not limited to its ranges."""
        windows = torch.from_numpy(front_end.windows(front_end.mel(wave)))
        rows = torch.cat([self.encoder(part) for part in windows.split(512)])
        # Rows outside of the speech are zeros.
        padded = torch.zeros(1, frame_count(len(wave)) + front_end.ROWS - 1, rows.shape[1])
        count = min(len(rows), padded.shape[1] - front_end.BEFORE)
        padded[0, front_end.BEFORE:front_end.BEFORE + count] = rows[:count]
        code = self.listener.sequence(padded)
        return rows, code[0].T, self.listener.mouth(code)[0].T

    def forward(self, mel: torch.Tensor, real: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mels (B, 80, 4·R + 4) and which rows lie in the speech (B, R) → mouth (B, R − 31, 7), phone logits."""
        rows = self.encoder.sequence(mel) * real[..., None]
        code = self.listener.sequence(rows)
        return self.listener.mouth(code).transpose(1, 2), self.phones(F.relu(code)).transpose(1, 2)


class Pieces:
    """Pieces of speech out of the shards, varied anew each time."""

    def __init__(self, folder: Path, settings: ListenerSettings, rng: np.random.Generator) -> None:
        self.settings, self.rng = settings, rng
        self.shards: list[dict[str, np.ndarray]] = []
        for name, _ in settings.shares:
            shard = augment.read_shard(folder / f"{name}.npz")
            weight = shard["frames"] * np.where(shard["speech"] > 0, 1, 0.6)
            shard["p"] = np.cumsum(weight / weight.sum())
            self.shards.append(shard)
        self.p = np.array([share for _, share in settings.shares])
        self.p /= self.p.sum()

    def batch(self, size: int) -> Batch:
        """Mels, real rows, mouth tracks, phones of the frames from two before to two after, valid frames."""
        count = self.settings.frames
        rows = count + front_end.ROWS - 1
        mel = np.full((size, 80, 4 * rows + 4), -4, np.float32)
        real = np.zeros((size, rows), np.float32)
        track = np.zeros((size, count, 7), np.float32)
        phone = np.zeros((size, count + 4), np.int64)
        valid = np.zeros((size, count), np.float32)
        for b in range(size):
            self._fill(mel[b], real[b], track[b], phone[b], valid[b])
        return torch.from_numpy(mel), torch.from_numpy(real), torch.from_numpy(track), torch.from_numpy(phone), torch.from_numpy(valid)

    def _fill(self, mel: np.ndarray, real: np.ndarray, track: np.ndarray, phone: np.ndarray, valid: np.ndarray) -> None:
        r, count = self.rng, len(track)
        shard = self.shards[int(r.choice(len(self.shards), p=self.p))]
        u = min(int(np.searchsorted(shard["p"], r.random())), len(shard["columns"]) - 1)
        frames, columns = int(shard["frames"][u]), int(shard["columns"][u])
        begin, base = int(shard["f0"][u]), int(shard["c0"][u])
        targets = shard["track"][begin:begin + frames]
        first = int(r.integers(0, max(1, frames - count // 2)))
        row = np.arange(first - front_end.BEFORE, first - front_end.BEFORE + len(real))
        real[:] = (row >= 0) & (row < front_end.row_count(columns))
        low, high = max(0, 4 * int(row[0])), min(columns, 4 * int(row[-1]) + 8)
        raw = shard["mel"][base + low:base + high].astype(np.float32)
        still = augment.still_columns(targets, np.arange(low, high), front_end.ADVANCE)
        varied = augment.vary(r, augment.breathe(r, raw, still, shard["loud"][u]), shard["loud"][u])
        varied = augment.veil(r, varied) if r.random() < 0.7 else varied
        offset = low - 4 * int(row[0])
        mel[:, offset:offset + len(varied)] = varied.T
        have = min(count, frames - first)
        track[:have], valid[:have] = targets[first:first + have], 1
        near = np.arange(first - 2, first + count + 2)
        phone[:] = np.where((near >= 0) & (near < frames), shard["phone"][begin + np.clip(near, 0, frames - 1)], 0)


def opening(mouth: torch.Tensor) -> torch.Tensor:
    """How far apart the lips are in pixels of the drawing; negative where they press. (…, 7) → (…)."""
    jaw, rnd, close, tuck = mouth[..., 0], mouth[..., 2], mouth[..., 3].clamp(0, 1), mouth[..., 4].clamp(0, 1)
    teeth, tongue = mouth[..., 5], mouth[..., 6]
    gap = 56 * jaw + (7 * teeth + 5 * tongue + 7 * rnd) * (1 - jaw)
    return gap * (1 - close) * (1 - 0.75 * tuck) - 2.2


def loss(s: ListenerSettings, said: torch.Tensor, logits: torch.Tensor, track: torch.Tensor, phone: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Squared errors of the parameters, of the opening and of the movement, and the cross entropy of the phones."""
    weight = (torch.tensor(s.importance) / torch.tensor(s.deviation) ** 2).to(track.device)
    here = valid[..., None]
    value = ((said - track).pow(2) * weight * here * (1 + (track[..., 3:4] > 0.6).float())).mean()
    wanted = opening(track)
    # Both closed is right, however hard they press.
    error = opening(said).clamp(min=-1) - wanted.clamp(min=-1)
    touching = (wanted < 0) & (track.abs().sum(-1) > 0.02)
    value = value + s.opening * (error.pow(2) * (1 + s.closure * touching) * valid).mean()
    movement = (said[:, 1:] - said[:, :-1]) - (track[:, 1:] - track[:, :-1])
    value = value + s.movement * (movement.pow(2) * weight * here[:, 1:]).mean()
    count = len(CANONICAL)
    for j, offset in enumerate(OFFSETS):
        target = phone[:, 2 + offset:2 + offset + track.shape[1]]
        entropy = F.cross_entropy(logits[..., count * j:count * (j + 1)].flatten(0, 1), target.flatten(), reduction="none")
        value = value + s.phones * (entropy * valid.flatten()).mean()
    return value


def train(settings: CompactConfig, minutes: float, begin: Path | None = None) -> None:
    s = settings.listener
    torch.set_num_threads(1)
    torch.manual_seed(s.seed)
    run = Run(settings, "listener", s, minutes, Ear(), begin, betas=(0.9, 0.98))
    data = Pieces(settings.work / "shards", s, np.random.default_rng([s.seed, run.step]))
    losses: list[float] = []
    while not run.over:
        run.tick()
        mel, real, track, phone, valid = (t.to(run.device) for t in data.batch(s.batch))
        said, logits = run.model(mel, real)
        value = loss(s, said, logits, track, phone, valid)
        run.learn(value)
        losses.append(float(value.detach()))
        if run.is_print_due():
            run.print(f"loss {np.mean(losses):.4f}")
            losses = []
        run.save_if_due()


if __name__ == "__main__":
    command(__doc__, train, lambda settings: settings.listener)
