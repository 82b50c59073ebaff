"""Trains the generator in three phases, each resumable at any moment.

    python -m viseme_train.synctalk2d.train_generator --config RECIPE.toml --phase PHASE [--device cpu] [--minutes 30]

    --phase picture     the image path, told the true mouth by a fixed code
    --phase audio       audio branch and fusion learn to say what the code said
    --phase joint       everything together, on pictures and feature windows

Why not at once: a picture costs a hundred times what its bottleneck costs. With the mouth given as a code the image path learns
to draw in a few thousand pictures, and the audio branch then sees hundreds of thousands of windows, at the bottleneck only.
The last phase is the contract's training: image and feature window in, picture out.

The first channels are mostly the template frame of the same pose with its mouth closed, which is what rendering does; else another
moment of the same person, with another mouth. The loss is L1, heavier where the picture differs from the closed mouth, and L1 of
gradients there, and what a recipe adds (`main`). A checkpoint every two minutes; workers are processes of one thread that average their gradients.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from viseme_train import checkpoint, config, reference
from viseme_train.config import Config, GeneratorSettings, PhaseSettings
from viseme_train.device import DEVICES, Average, choose, spawn
from viseme_train.schedule import Budget, learning_rate
from viseme_train.synctalk2d.data import Pictures, Rows, Windows, template_rois
from viseme_train.synctalk2d.generator import Generator
from viseme_train.synctalk2d.losses import Part, code, describe, picture_loss

PHASES = ("picture", "audio", "joint")
WHOLE: Part = slice(0, reference.ROI), slice(0, reference.ROI)
#: (output, target, the part of the roi that they show) → a scalar: what only the recipe knows about its pictures.
ShapeLoss = Callable[[torch.Tensor, torch.Tensor, Part], torch.Tensor]


@dataclass(frozen=True)
class Run:
    """How one run goes; what the trained network depends on besides is in the settings."""

    phase: str
    budget: Budget
    device: str = "cpu"
    threads: int = 1
    #: Begin the phase again from the last weights.
    restart: bool = False
    port: int = 29533


def resume_path(settings: Config) -> Path:
    return settings.work / "generator.ckpt"


def picture_path(settings: Config) -> Path:
    """The network after its picture phase: the teacher of the audio phase."""
    return settings.work / "generator.picture.pth"


def part(rng: np.random.Generator, settings: GeneratorSettings) -> Part:
    """A part of the roi, mostly the mouth, on a multiple of 32, so that every stride falls as in the whole."""
    size = settings.part
    last = (reference.ROI - size) // 32
    y, x = (32 * (last // 2),) * 2 if rng.random() < settings.mouth_parts else (32 * int(v) for v in rng.integers(0, last + 1, 2))
    return slice(y, y + size), slice(x, x + size)


def focus_mask(settings: GeneratorSettings, device: torch.device) -> torch.Tensor:
    x1, y1, x2, y2 = settings.focus
    mask = torch.zeros(1, 1, reference.ROI, reference.ROI, device=device)
    mask[:, :, y1:y2, x1:x2] = 1
    return mask


class Teacher:
    """What the fusion of the picture phase makes of the true mouth, on bottlenecks of the template."""

    def __init__(self, settings: Config, channels: tuple[int, ...], windows: Windows, device: torch.device) -> None:
        frozen = Generator(channels)
        frozen.load_state_dict(checkpoint.load(picture_path(settings)))
        frozen.to(device).eval()
        self.fuse, self.width = frozen.fuse_conv, channels[4]
        with torch.no_grad():
            cells = []
            for roi in template_rois(settings.work)[::4]:
                x = torch.from_numpy(reference.generator_input(roi))[None].to(device)
                cells.append(frozen.down5(frozen.down4(frozen.down3(frozen.down2(frozen.down1(frozen.inc(x)))))))
            self.bottlenecks = torch.cat(cells)
        mouth = torch.cat([windows.batch(64)[1] for _ in range(4)]).to(device)
        fused = self.say(self.bottlenecks[torch.randint(len(self.bottlenecks), (256,))], mouth)
        self.scale = 1 / (fused.std(0, keepdim=True) + .1 * fused.std(0).mean())

    @torch.no_grad()
    def say(self, bottlenecks: torch.Tensor, mouth: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.fuse(torch.cat([bottlenecks, code(mouth, self.width)], 1))
        return out.float()


def trained_parameters(model: Generator, phase: str) -> list[torch.nn.Parameter]:
    if phase == "picture":
        return [p for n, p in model.named_parameters() if not n.startswith("audio_model.")]
    if phase == "audio":
        return [p for n, p in model.named_parameters() if n.startswith(("audio_model.", "fuse_conv."))]
    return list(model.parameters())


def train(rank: int, workers: int, settings: Config, run: Run, shape_loss: ShapeLoss | None = None) -> list[float]:
    """Trains one phase until its budget is spent; gives the loss of every step of this run."""
    torch.set_num_threads(1 if workers > 1 else run.threads)
    cv2.setNumThreads(1)
    torch.set_flush_denormal(True)
    average = Average(rank, workers, run.port)
    device = choose(run.device)
    s = settings.generator
    phase: PhaseSettings = getattr(s, run.phase)
    path = resume_path(settings)
    saved: dict[str, Any] | None = checkpoint.load(path) if path.exists() else None
    torch.manual_seed(s.seed)
    channels = tuple(saved["channels"]) if saved else s.channels
    model = Generator(channels)
    if saved:
        model.load_state_dict(saved["model"])
    model.to(device, memory_format=torch.channels_last)
    parameters = trained_parameters(model, run.phase)
    head = None
    if run.phase == "joint":                                         # what the audio branch says, read at the mean of its places; not shipped
        head = torch.nn.Linear(channels[4], 9).to(device)
        parameters += head.parameters()
    optimizer = torch.optim.AdamW(parameters, lr=phase.peak, betas=(.9, .99), weight_decay=s.weight_decay, fused=True)
    step, spent = 0, 0.0
    if saved and saved["phase"] == run.phase and not run.restart:
        step, spent = saved["step"], saved["spent"]
        optimizer.load_state_dict(saved["optimizer"])
        if head is not None:
            if saved.get("head") is None:
                raise ValueError(f"{path} has no head: an earlier version wrote it. Begin the joint phase anew with --restart.")
            head.load_state_dict(saved["head"])
    rng = np.random.default_rng([s.seed, rank, PHASES.index(run.phase), step])
    rows = None if run.phase == "picture" else Rows(settings, device, rank, workers)
    windows = Windows(rng, rows) if rows else None
    pictures = None if run.phase == "audio" else Pictures(rng, settings, rows)
    teacher = Teacher(settings, channels, windows, device) if run.phase == "audio" and windows else None
    focus = focus_mask(s, device)

    def audio_step() -> torch.Tensor:
        assert windows
        assert teacher
        audio, mouth = (t.to(device) for t in windows.batch(phase.batch))
        cells = teacher.bottlenecks[torch.from_numpy(rng.integers(len(teacher.bottlenecks), size=len(mouth)))]
        with torch.autocast(device.type, torch.bfloat16):
            want = teacher.say(cells, mouth)
            got = model.fuse_conv(torch.cat([cells, model.audio_model(F.dropout(audio, s.dropout))], 1)).float()
        shy = 1 + .5 * (mouth[:, 3] > .8).float()                    # closures are few: the mean of what is likely would leave them open
        return (((got - want) * teacher.scale).pow(2).mean((1, 2, 3)) * shy).mean()

    def picture_step() -> torch.Tensor:
        assert pictures
        image, audio, target, closed, mouth = (t.to(device) for t in pictures.batch(phase.batch))
        extra = image.new_zeros(())
        with torch.autocast(device.type, torch.bfloat16):
            if head is None:
                inner = code(mouth, channels[4])
            else:
                assert windows
                more, moving = (t.to(device) for t in windows.batch(s.aside))
                inner = model.audio_model(F.dropout(torch.cat([audio, more]), s.dropout))
                extra = s.said * (head(inner.float().mean((2, 3))) - describe(torch.cat([mouth, moving]))).pow(2).mean()
                inner = inner[:len(mouth)]
            box = WHOLE
            if step % 10 >= 10 * phase.whole:
                box = part(rng, s)
                inner = inner[..., box[0].start // 32:box[0].stop // 32, box[1].start // 32:box[1].stop // 32]
                image, target, closed = (t[:, :, box[0], box[1]].contiguous(memory_format=torch.channels_last) for t in (image, target, closed))
            y = model.image(image, inner)
        y = y.float()
        loss = picture_loss(y, target, closed, focus[:, :, box[0], box[1]])
        if shape_loss:
            shape = shape_loss(y, target, box)
            shapes.append(float(shape.detach()))
            extra = extra + s.shape * shape
        return loss + extra

    def save(over: bool) -> None:
        state = checkpoint.plain_state(model)
        note = dict(saved["done"] if saved else {})
        note[run.phase] = {"steps": step, "samples": step * workers * phase.batch, "minutes": round(spent / 60, 1)}
        checkpoint.save({"model": state, "head": None if head is None else head.state_dict(), "optimizer": optimizer.state_dict(), "step": step,
                         "spent": spent, "phase": run.phase, "done": note, "channels": list(channels)}, path)
        if run.phase == "picture":
            checkpoint.save(state, picture_path(settings))
        checkpoint.save_numbered(state, settings.checkpoints, sum(v["steps"] for v in note.values()))
        facts = {"channels": list(channels), "seed": s.seed, "phases": note, "complete": over and run.phase == "joint"}
        checkpoint.save_text(json.dumps(facts) + "\n", settings.checkpoints / "training.json")

    model.train()
    if run.phase == "audio":
        for name, module in model.named_children():
            if name not in ("audio_model", "fuse_conv"):
                module.eval()
    began = time.time() - spent
    last_save = last_print = time.time()
    losses: list[float] = []
    shapes: list[float] = []
    printed = 0
    frozen_statistics = False
    progress = run.budget.progress(step, spent)
    while progress < 1:
        if run.phase == "joint" and not frozen_statistics and progress >= s.freeze:
            frozen_statistics = True                                 # parts and wholes have different statistics; rendering has these
            if workers > 1:
                for buffer in model.buffers():
                    torch.distributed.broadcast(buffer, 0)
            model.eval()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(progress, phase.peak, s.warmup)
        loss = audio_step() if run.phase == "audio" else picture_step()
        optimizer.zero_grad()
        loss.backward()
        spent = average(parameters, time.time() - began)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        losses.append(float(loss.detach()))
        progress = run.budget.progress(step, spent)
        over, now = progress >= 1, time.time()
        if rank == 0 and (over or now - last_print > 20):
            recent = losses[printed:]
            print(f"{run.phase} step {step} {spent:.0f} s loss {np.mean(recent):.5f} shape {np.mean(shapes or [0]):.4f} "
                  f"{len(recent) * workers * phase.batch / max(1e-9, now - last_print):.1f} samples/s", flush=True)
            printed, last_print = len(losses), now
            shapes.clear()
            if pictures and run.phase == "picture":
                pictures.scan()
        if rank == 0 and (over or now - last_save > s.checkpoint_seconds):
            last_save = now
            save(over)
    average.close()
    return losses


def main(default: Path | None = None, shape_loss: ShapeLoss | None = None, prepare: Callable[[Config], object] | None = None) -> None:
    """The command line. A recipe's script gives its settings' path, its own loss (a function of a module, which worker processes can
    import) and what is to be done before the workers start."""
    parser = config.parser(__doc__, default)
    parser.add_argument("--phase", choices=PHASES, required=True)
    parser.add_argument("--device", choices=DEVICES, help="instead of the settings'")
    parser.add_argument("--minutes", type=float, help="wall clock of the phase over all resumptions, instead of the settings'")
    parser.add_argument("--steps", type=int, help="length of the phase in steps, instead of minutes")
    parser.add_argument("--workers", type=int, help="processes of one thread, on the CPU")
    parser.add_argument("--threads", type=int, default=max(1, os.cpu_count() or 1), help="threads of a single process")
    parser.add_argument("--port", type=int, default=29533)
    parser.add_argument("--restart", action="store_true", help="begin the phase again from the last weights")
    a = parser.parse_args()
    settings = config.chosen(a)
    device = a.device or settings.device
    if prepare:
        prepare(settings)
    minutes = getattr(settings.generator, a.phase).minutes if a.minutes is None else a.minutes
    run = Run(a.phase, Budget(minutes, a.steps), device, a.threads, a.restart, a.port)
    spawn(train, a.workers or (settings.generator.workers if device == "cpu" else 1), device, settings, run, shape_loss)


if __name__ == "__main__":
    main()
