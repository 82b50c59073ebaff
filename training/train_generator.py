"""Trains the generator in three phases, each resumable at any moment.

    python train_generator.py --phase picture --minutes 40     the image path, told the true mouth by a fixed code
    python train_generator.py --phase audio   --minutes 15     audio branch and fusion learn to say what the code said
    python train_generator.py --phase joint   --minutes 30     everything together, on pictures and feature windows

Why not at once: a picture costs a hundred times what its bottleneck costs. With the mouth given as a code the image path learns
to draw in a few thousand pictures, and the audio branch then sees hundreds of thousands of windows, at the bottleneck only.
The last phase is the contract's training: image and feature window in, picture out.

The first channels are mostly the template frame of the same pose with its mouth closed, which is what rendering does; else another
moment of the same person, with another mouth. The loss is L1, heavier where the picture differs from the closed mouth, and L1 of
gradients there. A checkpoint every two minutes; workers are processes of one thread that average their gradients.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional as F

import audio_encoder
import augment
import dataset
import generator
import presenter
from dataset import ROOT, reference, work

CHECKPOINTS = ROOT / "training" / "checkpoints" / "robin"
SEED = 31
PHASES = ("picture", "audio", "joint")
BATCH = {"picture": 4, "audio": 16, "joint": 4}
ASIDE = 12                           # windows without a picture that the joint phase reads beside those with one: the pictures show little of the corpus
CROP = 192                           # most steps draw a part: the network has no idea of place, the code is the same everywhere
FREEZE = .55                         # of the joint phase, after which the batch statistics stay as rendering will have them
WHOLE = {"picture": .2, "joint": .3}  # share of the steps that draw whole rois
PEAK = {"picture": 1.8e-3, "audio": 2e-3, "joint": 1.2e-3}
SOURCES = {0: .6, 1: .4, 3: 1.0, 4: 1.0}  # how much of which augmented copy of the corpus is used; from 3 on they are revoiced
DROPOUT = .1                         # of features: a branch that leans on few of them fails with the next voice


# ---------------------------------------------------------------- the code of a mouth

def describe(m: torch.Tensor) -> torch.Tensor:
    """(B, 7) mouth parameters → (B, 9): those, the opening, and the opening near closure; unit-ish variance."""
    jaw, width, rnd, close, tuck, teeth, tongue = m.unbind(1)
    gap = jaw * (1 - close) * (1 - .75 * tuck)
    return torch.stack([jaw * 3, width * 2.5, rnd * 3, close * 3, tuck * 3, teeth * 2.5, tongue * 2.5, gap * 6, (1 - gap * 6).clamp(min=0) * 1.5], 1)


def code(m: torch.Tensor, channels: int) -> torch.Tensor:
    """A fixed random projection of `describe`, the same at every place: (B, c4, 10, 10)."""
    projection = torch.randn(9, channels, generator=torch.Generator().manual_seed(5)) / 3
    return (describe(m) @ projection)[:, :, None, None].expand(-1, -1, 10, 10)


# ---------------------------------------------------------------- feature rows of the corpus

class Rows:
    """Feature rows of augmented copies of the corpus, more than half of the clips varied once more, in float16 on disk."""

    def __init__(self, rank: int = 0, workers: int = 1):
        path = CHECKPOINTS / "audio_visual_encoder.pth"
        self.sha = hashlib.sha256(path.read_bytes()).hexdigest()
        self.copies = {}
        encoder = None
        for k, (number, share) in enumerate(SOURCES.items()):                    # the workers share the encoding
            cache = work() / "rows" / f"{self.sha[:12]}-{number}.npy"
            with np.load(work() / "mels" / f"{number}.npz") as data:
                columns, frames, track = data["columns"], data["frames"], data["track"].astype(np.float32)
                used = np.random.default_rng([SEED, number]).random(len(columns)) < share
                used |= data["quiet"]
                counts = np.array([reference.window_count(c) for c in columns]) * used
                if k % workers == rank and not cache.exists():
                    encoder = encoder or audio_encoder.load(path).to(memory_format=torch.channels_last)
                    cache.parent.mkdir(exist_ok=True)
                    self._encode(encoder, data["mel"], columns, counts, frames, track, number, cache)
            self.copies[number] = dict(cache=cache, track=track, f0=np.concatenate([[0], np.cumsum(frames)]), r0=np.concatenate([[0], np.cumsum(counts)]),
                                       usable=np.repeat(used, frames))
        if workers > 1:
            torch.distributed.barrier()
        for c in self.copies.values():
            c["rows"] = np.load(c["cache"], mmap_mode="r")

    @staticmethod
    def _encode(encoder, mels, columns, counts, frames, track, copy, cache):
        rng = np.random.default_rng([SEED, copy])
        out = np.empty((counts.sum(), 512), np.float16)
        c = r = f = 0
        pending, filled = [], 0
        t0 = time.time()
        with torch.inference_mode():
            for count, n, frame_count in zip(columns, counts, frames):
                mel = mels[c:c + count].astype(np.float32)
                here = track[f:f + frame_count]
                still = np.abs(here[np.minimum((np.arange(count) / 3.2).astype(int), frame_count - 1)]).sum(1) < .02
                f += frame_count
                mel = augment.breathe(rng, mel, still, augment.loud(mel))
                if rng.random() < .6:     # rows of unknown voices and rooms, which the encoder reads less surely
                    mel = augment.vary(rng, mel, augment.loud(mel))
                mel = mel.T
                if n:
                    pending.append(reference.windows(mel))
                c, r = c + count, r + n
                if len(pending) == 16 or (pending and r == counts.sum()):
                    x = torch.from_numpy(np.concatenate(pending))[:, None].contiguous(memory_format=torch.channels_last)
                    with torch.autocast("cpu", torch.bfloat16):
                        y = torch.cat([encoder(p) for p in x.split(128)])
                    out[filled:filled + len(y)] = y.float().numpy()
                    filled += len(y)
                    pending = []
        np.save(cache.with_suffix(".part.npy"), out)
        os.replace(cache.with_suffix(".part.npy"), cache)
        print(f"rows of copy {copy}: {len(out)} in {time.time() - t0:.0f} s", flush=True)

    def window(self, which: dict, frame: int, out: np.ndarray) -> None:
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


# ---------------------------------------------------------------- data

class Pictures:
    def __init__(self, rng: np.random.Generator, rows: Rows | None):
        self.rng, self.rows = rng, rows
        self.template = np.ascontiguousarray(dataset.template_crops()[:, 4:324, 4:324])
        self.scan()

    def scan(self):
        self.images, self.meta, self.mouth = dataset.frames()
        self.usable = np.flatnonzero([self.rows is None or self.rows.copies[c]["usable"][f] for c, f, _ in self.meta])

    def picture(self, i: int) -> np.ndarray:
        return self.images[i // dataset.CHUNK][i % dataset.CHUNK]

    def batch(self, size: int):
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
            if u < .78:
                other = same
            elif u < .88:
                other = self.template[int(r.integers(len(self.template)))]
            else:
                other = self.picture(int(r.integers(len(self.meta))))
            image[b, :3] = other.transpose(2, 0, 1)
            image[b, 3:] = reference.masked(same).transpose(2, 0, 1)
            closed[b] = same.transpose(2, 0, 1)
            if self.rows:
                which = self.rows.copies[copy]
                assert np.abs(which["track"][frame] - mouth[b]).max() < 2e-3, "the corpus changed: draw the frames again"
                self.rows.window(which, frame, audio[b])
        t = lambda a: torch.from_numpy(a).float().div_(255).contiguous(memory_format=torch.channels_last)
        return t(image), torch.from_numpy(audio).reshape(size, 32, 16, 16), t(target), t(closed), torch.from_numpy(mouth)


class Windows:
    """Feature windows and the mouth of their frames, anywhere in the corpus."""

    def __init__(self, rng: np.random.Generator, rows: Rows):
        self.rng, self.rows = rng, rows
        self.pools = []
        for c in rows.copies.values():
            t = c["track"]
            still = np.abs(t).sum(1) <= .02
            ok = c["usable"]
            self.pools.append([c, np.flatnonzero(ok), np.flatnonzero(ok & (t[:, 3] > .4)), np.flatnonzero(ok & still), np.flatnonzero(ok & ((t[:, 4] > .4) | (t[:, 2] > .6)))])

    def batch(self, size: int):
        r = self.rng
        x = np.empty((size, 16, 512), np.float32)
        m = np.empty((size, 7), np.float32)
        for b in range(size):
            which, *pools = self.pools[int(r.integers(len(self.pools)))]
            pool = pools[int(r.choice(4, p=[.62, .20, .10, .08]))]
            f = int(pool[r.integers(len(pool))])
            m[b] = which["track"][f]
            self.rows.window(which, f, x[b])
        return torch.from_numpy(x).reshape(size, 32, 16, 16), torch.from_numpy(m)


# ---------------------------------------------------------------- loss

BOX = torch.zeros(1, 1, 320, 320)
BOX[:, :, 78:240, 70:250] = 1.0
FACE = torch.from_numpy(presenter.FACE)
SHAPE = .3                           # weight of the mouth's profiles beside the pixels
SAID = .5                            # and of the mouth that the audio branch says


def picture_loss(y, target, closed, box):
    change = torch.maximum((target - closed).abs(), (y.detach() - closed).abs()).amax(1, keepdim=True)   # a mouth wrongly open counts, too
    weight = F.avg_pool2d(F.max_pool2d((change * 16 - .3).clamp(0, 1), 9, 1, 4), 7, 1, 3)
    weight = 1 + 1.5 * BOX[:, :, box[0], box[1]].to(y.device) + 8 * weight
    error = y - target
    flat = (error.abs() * weight).mean() + 4 * (error.pow(2) * weight).mean()
    dx, dy = error[..., 1:] - error[..., :-1], error[..., 1:, :] - error[..., :-1, :]
    return flat + .7 * ((dx.abs() * weight[..., 1:]).mean() + (dy.abs() * weight[..., 1:, :]).mean())


def profiles(y):
    """How much opening, lips and teeth every column and every row of the mouth has, in pixels: (B, 4 · (columns + rows)).

    `y` is cut to `presenter.BOX`. The colours are those of `presenter.measure`, with softer edges, so that a gradient remains.
    """
    b, g, r = y.unbind(1)
    soft = lambda value, width: torch.sigmoid(value * 255 / width)
    teeth = soft(g - .62 * r - .13, 8) * soft(.106 - (r - b), 7) * soft(r - .45, 14)
    masks = torch.stack([(.72 - r).clamp(min=0) * 2, soft(.282 - r, 14), soft(r - g - .318, 8), teeth], 1) * FACE
    return torch.cat([masks.sum(2).flatten(1), masks.sum(3).flatten(1)], 1)


def shape_loss(y, target, box=(slice(0, None), slice(0, None))):
    """Squared difference of the profiles. Where the sound leaves doubt, L1 of pixels would rather keep the mouth shut and its corners vague."""
    x1, y1, x2, y2 = presenter.BOX
    top, left = box[0].start, box[1].start
    if top > y1 or left > x1 or top + y.shape[2] < y2 or left + y.shape[3] < x2:
        return y.new_zeros(())                                       # this part does not show the whole mouth
    cut = lambda image: image[:, :, y1 - top:y2 - top, x1 - left:x2 - left]
    return ((profiles(cut(y)) - profiles(cut(target))) / 5).pow(2).mean()


# ---------------------------------------------------------------- training

def part(rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a CROP x CROP part, mostly the mouth; a multiple of 32, so that every stride falls as in the whole."""
    y, x = (64, 64) if rng.random() < .65 else (32 * int(v) for v in rng.integers(0, (320 - CROP) // 32 + 1, 2))
    return slice(y, y + CROP), slice(x, x + CROP)


def rate(progress: float, peak: float) -> float:
    if progress < .03:
        return peak * max(progress, 1e-3) / .03
    return peak * (.01 + .99 * .5 * (1 + math.cos(math.pi * min(1.0, (progress - .03) / .97))))


def average(parameters, elapsed, workers):
    if workers == 1:
        return elapsed
    flat = torch.cat([p.grad.flatten() for p in parameters] + [torch.tensor([elapsed])])
    torch.distributed.all_reduce(flat)
    flat /= workers
    at = 0
    for p in parameters:
        p.grad.copy_(flat[at:at + p.numel()].view_as(p))
        at += p.numel()
    return float(flat[-1])


def save(value, path: Path) -> None:
    """Writes a checkpoint under another name first: stopped at any moment, the old one or the new one is there, whole."""
    scratch = path.with_suffix(".part")
    torch.save(value, scratch)
    os.replace(scratch, path)


def train(rank: int, a) -> None:
    torch.set_num_threads(1 if a.workers > 1 else a.threads)
    cv2.setNumThreads(1)
    torch.set_flush_denormal(True)
    if a.workers > 1:
        torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{a.port}", rank=rank, world_size=a.workers)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    path = work() / "generator.ckpt"
    saved = torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None
    torch.manual_seed(SEED)
    channels = tuple(saved["channels"]) if saved else tuple(a.channels)
    model = generator.Generator(channels)
    if saved:
        model.load_state_dict(saved["model"])
    model.to(device, memory_format=torch.channels_last)
    done = saved["done"] if saved else {}
    resumed = bool(saved and saved["phase"] == a.phase and not a.restart)
    step, spent = (saved["step"], saved["spent"]) if resumed else (0, 0.0)
    if a.phase == "picture":
        train_parameters = [p for n, p in model.named_parameters() if not n.startswith("audio_model.")]
    elif a.phase == "audio":
        train_parameters = [p for n, p in model.named_parameters() if n.startswith(("audio_model.", "fuse_conv."))]
    else:
        train_parameters = list(model.parameters())
    head = None
    if a.phase == "joint":                                           # what the audio branch says, read at the mean of its places; not shipped
        head = torch.nn.Linear(channels[4], 9).to(device)
        train_parameters += head.parameters()
    optimizer = torch.optim.AdamW(train_parameters, lr=1e-3, betas=(.9, .99), weight_decay=1e-3, fused=True)
    if resumed:
        optimizer.load_state_dict(saved["optimizer"])
        if head is not None:
            if saved.get("head") is None:
                sys.exit(f"{path} has no head: an earlier version of this script wrote it. Begin the joint phase anew with --restart.")
            head.load_state_dict(saved["head"])
    rng = np.random.default_rng([SEED, rank, PHASES.index(a.phase), step])
    rows = Rows(rank, a.workers) if a.phase != "picture" else None
    data = Windows(rng, rows) if a.phase == "audio" else Pictures(rng, rows)
    aside = Windows(rng, rows) if a.phase == "joint" else None
    teacher = bottlenecks = None
    if a.phase == "audio":
        frozen = generator.Generator(channels)
        source = work() / "generator.picture.pth"
        frozen.load_state_dict(torch.load(source, map_location="cpu", weights_only=True))
        frozen.to(device).eval()
        teacher = frozen.fuse_conv
        template = dataset.template_crops()[::4, 4:324, 4:324]
        with torch.no_grad():
            cells = []
            for t in template:
                x = torch.from_numpy(reference.generator_input(np.ascontiguousarray(t)))[None].to(device)
                cells.append(frozen.down5(frozen.down4(frozen.down3(frozen.down2(frozen.down1(frozen.inc(x)))))))
            bottlenecks = torch.cat(cells)
            m = torch.cat([data.batch(64)[1] for _ in range(4)])
            fused = teacher(torch.cat([bottlenecks[torch.randint(len(bottlenecks), (256,))], code(m, channels[4]).to(device)], 1))
            scale = 1 / (fused.std(0, keepdim=True) + .1 * fused.std(0).mean())
    total = a.minutes * 60
    model.train()
    if a.phase == "audio":
        for m in (model.inc, model.down1, model.down2, model.down3, model.down4, model.down5, model.up1, model.up2, model.up3, model.up4, model.up5):
            m.eval()
    last_save = last_print = time.time()
    began = time.time() - spent
    running, shapes = [], []
    frozen_statistics = False
    while True:
        elapsed = time.time() - began
        if a.phase == "joint" and not frozen_statistics and spent >= a.freeze * total:
            frozen_statistics = True                                 # parts and wholes have different statistics; rendering has these
            if a.workers > 1:
                for buffer in model.buffers():
                    torch.distributed.broadcast(buffer, 0)
            model.eval()
        for group in optimizer.param_groups:
            group["lr"] = rate(elapsed / total if a.workers == 1 or step == 0 else spent / total, a.peak or PEAK[a.phase])
        with torch.autocast(device, torch.bfloat16):
            if a.phase == "audio":
                audio, mouth = data.batch(BATCH["audio"])
                pick = torch.from_numpy(rng.integers(len(bottlenecks), size=len(mouth)))
                with torch.no_grad():
                    want = teacher(torch.cat([bottlenecks[pick], code(mouth, channels[4]).to(device)], 1)).float()
                got = model.fuse_conv(torch.cat([bottlenecks[pick], model.audio_model(F.dropout(audio.to(device), DROPOUT))], 1)).float()
                shy = 1 + .5 * (mouth[:, 3] > .8).float()                  # closures are few: the mean of what is likely would leave them open
                loss = (((got - want) * scale).pow(2).mean((1, 2, 3)) * shy.to(device)).mean()
            else:
                image, audio, target, closed, mouth = (t.to(device) for t in data.batch(BATCH[a.phase]))
                if a.phase == "picture":
                    inner = code(mouth, channels[4]).to(device)
                else:
                    more, moving = (t.to(device) for t in aside.batch(ASIDE))
                    inner = model.audio_model(F.dropout(torch.cat([audio, more]), DROPOUT))
                    said = (head(inner.float().mean((2, 3))) - describe(torch.cat([mouth, moving]))).pow(2).mean()
                    inner = inner[:len(mouth)]
                box = slice(0, None), slice(0, None)
                if step % 10 >= 10 * WHOLE[a.phase]:
                    box = part(rng)
                    inner = inner[..., box[0].start // 32:box[0].stop // 32, box[1].start // 32:box[1].stop // 32]
                    image, target, closed = (t[:, :, box[0], box[1]].contiguous(memory_format=torch.channels_last) for t in (image, target, closed))
                y = model.image(image, inner)
        if a.phase != "audio":
            y = y.float()
            loss, shape = picture_loss(y, target, closed, box), shape_loss(y, target, box)
            shapes.append(float(shape.detach()))
            loss = loss + SHAPE * shape
            if head:
                loss = loss + SAID * said
        optimizer.zero_grad()
        loss.backward()
        spent = average(train_parameters, elapsed, a.workers)
        torch.nn.utils.clip_grad_norm_(train_parameters, 1.0)
        optimizer.step()
        step += 1
        running.append(float(loss.detach()))
        over = spent >= total
        if rank == 0 and (over or time.time() - last_print > 20):
            print(f"{a.phase} step {step} {spent:.0f} s loss {np.mean(running):.5f} shape {np.mean(shapes or [0]):.4f} {len(running) * a.workers * BATCH[a.phase] / max(1e-9, time.time() - last_print):.1f} samples/s", flush=True)
            running, shapes, last_print = [], [], time.time()
            if a.phase == "picture":
                data.scan()
        if rank == 0 and (over or time.time() - last_save > 120):
            last_save = time.time()
            state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
            note = dict(done, **{a.phase: {"steps": step, "samples": step * a.workers * BATCH[a.phase], "minutes": round(spent / 60, 1)}})
            save({"model": state, "head": None if head is None else head.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "spent": spent,
                  "phase": a.phase, "done": note, "channels": list(channels)}, path)
            if a.phase == "picture":
                save(state, work() / "generator.picture.pth")
            newest = CHECKPOINTS / f"{sum(v['steps'] for v in note.values())}.pth"
            save(state, newest)
            for old in CHECKPOINTS.glob("[0-9]*.pth"):               # the new one is on the disk
                if old != newest:
                    old.unlink()
            text = json.dumps({"channels": list(channels), "seed": SEED, "phases": note, "complete": over and a.phase == "joint"}) + "\n"
            scratch = CHECKPOINTS / "training.json.part"
            scratch.write_text(text)
            os.replace(scratch, CHECKPOINTS / "training.json")
        if over:
            break
    if a.workers > 1:
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--phase", choices=PHASES, required=True)
    p.add_argument("--minutes", type=float, required=True, help="wall clock of the phase, over all resumptions")
    p.add_argument("--workers", type=int, default=1 if torch.cuda.is_available() else 2)
    p.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 1)))
    p.add_argument("--channels", type=int, nargs=5, default=list(generator.HALF))
    p.add_argument("--port", type=int, default=29533)
    p.add_argument("--peak", type=float, help="highest learning rate, instead of the phase's own")
    p.add_argument("--freeze", type=float, default=FREEZE, help="share of the joint phase after which batch statistics stay; 0 to polish a trained model")
    p.add_argument("--restart", action="store_true", help="begin the phase again from the last weights")
    arguments = p.parse_args()
    if arguments.workers > 1:
        torch.multiprocessing.spawn(train, args=(arguments,), nprocs=arguments.workers)
    else:
        train(0, arguments)
