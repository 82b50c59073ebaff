"""Trains audio encoder and listener together: from speech to the mouth of every frame.

    python -m viseme_train.compact.train_listener --config recipes/robin/compact.toml

The encoder reads each column once over a piece of speech, the listener says the seven mouth parameters of every frame of it. A
linear layer that is not shipped tells the phones around each frame from the same code. Resumes from `<work>/listener.ckpt`.
"""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from viseme_train import augment, checkpoint, config
from viseme_train.compact import front_end
from viseme_train.compact.networks import CODE, AudioEncoder, Listener
from viseme_train.compact.settings import CompactConfig, ListenerSettings
from viseme_train.phonemes import CANONICAL
from viseme_train.schedule import learning_rate

#: The phones of these frames beside its own.
OFFSETS = (-2, 0, 2)
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class Ear(nn.Module):
    """Encoder, listener, and the layer that tells phones."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.listener = AudioEncoder(), Listener()
        self.phones = nn.Conv1d(CODE, len(CANONICAL) * len(OFFSETS), 1)

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
            with np.load(folder / f"{name}.npz") as data:
                shard = {k: data[k] for k in data.files}
            shard["c0"] = np.concatenate([[0], np.cumsum(shard["columns"])])
            shard["f0"] = np.concatenate([[0], np.cumsum(shard["frames"])])
            shard["loud"] = np.array([augment.loud(shard["mel"][a:b]) for a, b in zip(shard["c0"][:-1], shard["c0"][1:])], np.float32)
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
        still = np.abs(targets[np.minimum(np.arange(low, high) // 4, frames - 1)]).sum(1) < 0.02
        varied = augment.vary(r, augment.breathe(r, raw, still, shard["loud"][u]), shard["loud"][u])
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
    weight = torch.tensor(s.importance) / torch.tensor(s.deviation) ** 2
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


def follow(slow: nn.Module, model: nn.Module, step: int) -> None:
    """Moves the average of the weights a little towards them: what is shipped is the average."""
    share = 1 - min(0.999, (1 + step) / (10 + step))
    with torch.no_grad():
        for a, b in zip(slow.state_dict().values(), model.state_dict().values()):
            if a.dtype.is_floating_point:
                a.lerp_(b, share)
            else:
                a.copy_(b)


def publish(settings: CompactConfig, name: str, slow: nn.Module, step: int, spent: float) -> None:
    """Writes the averaged weights, which the export reads, and how long they were trained."""
    checkpoint.save(checkpoint.plain_state(slow), settings.checkpoints / f"{name}.pth")
    checkpoint.save_text(json.dumps({"steps": step, "minutes": round(spent / 60, 1)}) + "\n", settings.checkpoints / f"{name}.json")


def train(settings: CompactConfig, minutes: float) -> None:
    s = settings.listener
    torch.set_num_threads(1)
    torch.manual_seed(s.seed)
    path = settings.work / "listener.ckpt"
    model = Ear()
    slow = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=s.peak, betas=(0.9, 0.98), weight_decay=s.weight_decay)
    step, spent = 0, 0.0
    if path.exists():
        saved = checkpoint.load(path)
        model.load_state_dict(saved["model"])
        slow.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
        step, spent = saved["step"], saved["spent"]
    data = Pieces(settings.work / "shards", s, np.random.default_rng([s.seed, step]))
    began = time.time() - spent
    last_print = last_save = time.time()
    losses: list[float] = []
    over = False
    while not over:
        spent = time.time() - began
        over = spent >= minutes * 60
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(spent / (minutes * 60), s.peak, s.warmup)
        mel, real, track, phone, valid = data.batch(s.batch)
        said, logits = model(mel, real)
        value = loss(s, said, logits, track, phone, valid)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), s.clip)
        optimizer.step()
        step += 1
        follow(slow, model, step)
        losses.append(float(value.detach()))
        if over or time.time() - last_print > 30:
            print(f"step {step} {spent:.0f} s loss {np.mean(losses):.4f}", flush=True)
            losses, last_print = [], time.time()
        if over or time.time() - last_save > s.checkpoint_seconds:
            checkpoint.save({"model": model.state_dict(), "average": slow.state_dict(), "optimizer": optimizer.state_dict(),
                             "step": step, "spent": spent}, path)
            publish(settings, "listener", slow, step, spent)
            last_save = time.time()


def main() -> None:
    parser = config.parser(__doc__)
    parser.add_argument("--minutes", type=float, help="wall clock over all resumptions, instead of the recipe's")
    a = parser.parse_args()
    settings = config.read(CompactConfig, a.config, a.set)
    train(settings, a.minutes or settings.listener.minutes)


if __name__ == "__main__":
    main()
