"""What the two trainings read: augmented mels, feature rows of them, and pictures whose mouth belongs to them.

    <work>/mels/<n>.npz               an augmented copy of the corpus (`viseme_train.augment`)
    <work>/rows/<sha>-<n>.npy         its feature rows, float16, made here
    <work>/template_crops.npy         [poses, 328, 328, 3] uint8: the crops of the decoded template
    <work>/frames/<nnn>.npy, .npz     rois [chunk, 320, 320, 3] uint8 with `meta` [chunk, 3] (copy, frame in it, pose) and `mouth` [chunk, 7]
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from viseme_train import augment, reference
from viseme_train.checkpoint import replacing, sha256
from viseme_train.config import Config, EncoderSettings
from viseme_train.synctalk2d import audio_encoder

OFFSETS = 5  # a row's window covers its frames k … k+4


class MelShards:
    """The augmented mels, read as sequences of feature rows by the contract's rules."""

    def __init__(self, rng: np.random.Generator, work: Path, settings: EncoderSettings) -> None:
        self.rng, self.work, self.settings = rng, work, settings
        self.shards: list[dict[str, Any]] = []
        self.scan()

    def scan(self) -> None:
        """Takes in shards that `augment` has finished since."""
        while (path := self.work / "mels" / f"{len(self.shards)}.npz").exists():
            shard = augment.read_shard(path)
            weight = shard["frames"].astype(np.float64)
            weight[shard["natural"]] *= self.settings.natural
            weight[shard["quiet"]] = 0
            calm = shard["quiet"] / shard["quiet"].sum()
            shard["p"] = np.cumsum((1 - self.settings.quiet) * weight / weight.sum() + self.settings.quiet * calm)
            self.shards.append(shard)
        if not self.shards:
            raise FileNotFoundError(f"no mels in {self.work}: run viseme_train.augment first")

    def batch(self, size: int, count: int) -> tuple[torch.Tensor, ...]:
        """`size` places, `count` rows at each: 16 + 2 rows that make windows, or single ones, which differ more.

        → mel windows [size·count, 1, 80, 16], the same unvaried, real [size, count], row targets [size, count, 5, 7] and classes
        [size, count, 5], frame targets [size, max(0, count − 15), 7].
        """
        r = self.rng
        x = np.empty((size, count, 16, 80), np.float32)
        plain = np.empty((size, count, 16, 80), np.float32)
        real = np.zeros((size, count), np.float32)
        track = np.zeros((size, count, OFFSETS, 7), np.float32)
        phone = np.zeros((size, count, OFFSETS), np.int64)
        heads = max(0, count - 15)
        frame = np.zeros((size, heads, 7), np.float32)
        before = 8 if heads else -1  # a single row is row `first`
        for b in range(size):
            shard = self.shards[r.integers(len(self.shards))]
            u = min(int(np.searchsorted(shard["p"], r.random())), len(shard["columns"]) - 1)
            target = shard["track"][shard["f0"][u]:shard["f0"][u + 1]]
            names = shard["phone"][shard["f0"][u]:shard["f0"][u + 1]]
            columns, frames = int(shard["columns"][u]), len(target)
            n = reference.window_count(columns)
            first = int(r.integers(0, max(1, frames - heads + 1) if heads else n))
            index = first - before + np.arange(count)  # into the audio rows A
            real[b] = (index >= 0) & (index < n + 2)
            rows = np.clip(index - 1, 0, n - 1)
            starts = np.minimum(16 * rows // 5, columns - 16)
            low, high = int(starts[0]), int(starts[-1]) + 16
            raw = shard["mel"][shard["c0"][u] + low:shard["c0"][u] + high].astype(np.float32)
            still = augment.still_columns(target, np.arange(low, high))
            mel = augment.vary(r, augment.breathe(r, raw, still, shard["loud"][u]), shard["loud"][u])
            for j, (k, s) in enumerate(zip(rows, starts - low)):
                x[b, j], plain[b, j] = mel[s:s + 16], raw[s:s + 16]
                have = min(OFFSETS, frames - k)
                if have > 0:
                    track[b, j, :have], phone[b, j, :have] = target[k:k + have], names[k:k + have]
            if heads:
                said = target[first:first + heads]
                frame[b, :len(said)] = said
        windows = (np.ascontiguousarray(a.transpose(0, 1, 3, 2)).reshape(size * count, 1, 80, 16) for a in (x, plain))
        return tuple(torch.from_numpy(a) for a in (*windows, real, track, phone, frame))


class Rows:
    """Feature rows of augmented copies of the corpus, part of the clips varied once more, in float16 on disk."""

    def __init__(self, config: Config, device: torch.device, rank: int = 0, workers: int = 1) -> None:
        settings = config.generator
        path = config.encoder_checkpoint
        sha = sha256(path)
        self.copies: dict[int, dict[str, Any]] = {}
        encoder = None
        for k, (number, share) in enumerate(settings.sources):                   # the workers share the encoding
            cache = config.work / "rows" / f"{sha[:12]}-{number}.npy"
            with np.load(config.work / "mels" / f"{number}.npz") as data:
                columns, frames, track = data["columns"], data["frames"], data["track"].astype(np.float32)
                used = np.random.default_rng([settings.seed, number]).random(len(columns)) < share
                used |= data["quiet"]
                counts = np.array([reference.window_count(c) for c in columns]) * used
                if k % workers == rank and not cache.exists():
                    encoder = encoder or audio_encoder.load(path).to(device, memory_format=torch.channels_last)
                    began = time.time()
                    rng = np.random.default_rng([settings.seed, number])
                    rows = self._encode(encoder, device, rng, data["mel"], columns, counts, frames, track, settings.varied)
                    with replacing(cache) as scratch:
                        np.save(scratch, rows)
                    print(f"rows of copy {number}: {len(rows)} in {time.time() - began:.0f} s", flush=True)
            self.copies[number] = {"cache": cache, "track": track, "f0": augment.offsets(frames), "r0": augment.offsets(counts), "usable": np.repeat(used, frames)}
        if workers > 1:
            torch.distributed.barrier()
        for c in self.copies.values():
            c["rows"] = np.load(c["cache"], mmap_mode="r")

    @staticmethod
    def _encode(encoder: torch.nn.Module, device: torch.device, rng: np.random.Generator, mels: np.ndarray, columns: np.ndarray, counts: np.ndarray, frames: np.ndarray,
                track: np.ndarray, varied: float) -> np.ndarray:
        out = np.empty((counts.sum(), 512), np.float16)
        c = r = f = filled = 0
        pending: list[np.ndarray] = []
        with torch.inference_mode():
            for count, n, frame_count in zip(columns, counts, frames):
                mel = mels[c:c + count].astype(np.float32)
                still = augment.still_columns(track[f:f + frame_count], np.arange(count))
                f += frame_count
                mel = augment.breathe(rng, mel, still, augment.loud(mel))
                if rng.random() < varied:     # rows of unknown voices and rooms, which the encoder reads less surely
                    mel = augment.vary(rng, mel, augment.loud(mel))
                if n:
                    pending.append(reference.windows(mel.T))
                c, r = c + count, r + n
                if len(pending) == 16 or (pending and r == counts.sum()):
                    x = torch.from_numpy(np.concatenate(pending))[:, None].to(device, memory_format=torch.channels_last)
                    with torch.autocast(device.type, torch.bfloat16):
                        y = torch.cat([encoder(p) for p in x.split(128)])
                    out[filled:filled + len(y)] = y.float().cpu().numpy()
                    filled += len(y)
                    pending = []
        return out

    def window(self, which: dict[str, Any], frame: int, out: np.ndarray) -> None:
        """The [16, 512] feature window of a frame of a copy; rows outside the clip are zero."""
        clip = int(np.searchsorted(which["f0"], frame, side="right")) - 1
        i = frame - which["f0"][clip]
        a, b = which["r0"][clip], which["r0"][clip + 1]
        n = b - a
        out[:] = 0
        for r in range(16):
            k = i - 8 + r
            if 0 <= k < n + 2:
                out[r] = which["rows"][a + min(max(k - 1, 0), n - 1)]


def template_rois(work: Path) -> np.ndarray:
    """The rois of the decoded template, [poses, 320, 320, 3] uint8."""
    path = work / "template_crops.npy"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: the recipe cuts it from the template")
    inner = slice(reference.BORDER, reference.BORDER + reference.ROI)
    return np.ascontiguousarray(np.load(path)[:, inner, inner])


class Pictures:
    """Drawn rois, a reference for each, and the feature window of the same moment."""

    def __init__(self, rng: np.random.Generator, config: Config, rows: Rows | None) -> None:
        self.rng, self.rows, self.folder = rng, rows, config.work / "frames"
        self.references = np.cumsum(config.generator.references)
        self.template = template_rois(config.work)
        self.scan()

    def scan(self) -> None:
        """Takes in pictures that were drawn since."""
        paths = sorted(self.folder.glob("[0-9][0-9][0-9].npz"))
        if not paths:
            raise FileNotFoundError(f"no pictures in {self.folder}: the recipe draws them")
        self.images = [np.load(p.with_suffix(".npy"), mmap_mode="r") for p in paths]
        loaded = [np.load(p) for p in paths]
        self.meta, self.mouth = (np.concatenate([d[key] for d in loaded]) for key in ("meta", "mouth"))
        self.usable = np.flatnonzero([self.rows is None or self.rows.copies[c]["usable"][f] for c, f, _ in self.meta])

    def picture(self, i: int) -> np.ndarray:
        chunk = len(self.images[0])
        return self.images[i // chunk][i % chunk]

    def batch(self, size: int) -> tuple[torch.Tensor, ...]:
        """→ image [B, 6, 320, 320], audio [B, 32, 16, 16], target and closed [B, 3, 320, 320], mouth [B, 7]."""
        r = self.rng
        image = np.empty((size, 6, 320, 320), np.uint8)
        target, closed = (np.empty((size, 3, 320, 320), np.uint8) for _ in range(2))
        mouth = np.empty((size, 7), np.float32)
        audio = np.zeros((size, 16, 512), np.float32)
        for b in range(size):
            i = int(self.usable[r.integers(len(self.usable))])
            copy, frame, pose = (int(v) for v in self.meta[i])
            same = self.template[pose]
            target[b], mouth[b] = self.picture(i).transpose(2, 0, 1), self.mouth[i]
            u = r.random()
            if u < self.references[0]:
                other = same
            elif u < self.references[1]:
                other = self.template[int(r.integers(len(self.template)))]
            else:
                other = self.picture(int(r.integers(len(self.meta))))
            image[b, :3] = other.transpose(2, 0, 1)
            image[b, 3:] = reference.masked(same).transpose(2, 0, 1)
            closed[b] = same.transpose(2, 0, 1)
            if self.rows:
                which = self.rows.copies[copy]
                if np.abs(which["track"][frame] - mouth[b]).max() >= 2e-3:
                    raise ValueError(f"the corpus changed since {self.folder} was drawn: draw the frames again")
                self.rows.window(which, frame, audio[b])
        t = lambda a: torch.from_numpy(a).float().div_(255).contiguous(memory_format=torch.channels_last)
        return t(image), torch.from_numpy(audio).reshape(size, 32, 16, 16), t(target), t(closed), torch.from_numpy(mouth)


class Windows:
    """Feature windows and the mouth of their frames, anywhere in the corpus: of all, closures, rest, and tucked or round lips."""

    POOLS = (0.62, 0.20, 0.10, 0.08)

    def __init__(self, rng: np.random.Generator, rows: Rows) -> None:
        self.rng, self.rows = rng, rows
        self.pools: list[tuple[dict[str, Any], list[np.ndarray]]] = []
        for c in rows.copies.values():
            t, ok = c["track"], c["usable"]
            kinds = (ok, ok & (t[:, 3] > 0.4), ok & (np.abs(t).sum(1) <= 0.02), ok & ((t[:, 4] > 0.4) | (t[:, 2] > 0.6)))
            self.pools.append((c, [np.flatnonzero(kind) if kind.any() else np.flatnonzero(ok) for kind in kinds]))

    def batch(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """→ audio [B, 32, 16, 16], mouth [B, 7]."""
        r = self.rng
        x = np.empty((size, 16, 512), np.float32)
        m = np.empty((size, 7), np.float32)
        for b in range(size):
            which, pools = self.pools[int(r.integers(len(self.pools)))]
            pool = pools[int(r.choice(len(pools), p=self.POOLS))]
            f = int(pool[r.integers(len(pool))])
            m[b] = which["track"][f]
            self.rows.window(which, f, x[b])
        return torch.from_numpy(x).reshape(size, 32, 16, 16), torch.from_numpy(m)
