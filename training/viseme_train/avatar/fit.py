"""Trains a person's painter of the compact family on prepared data: `viseme-train fit DATA RUN`.

The ear stays robin's: from ten seconds its seven numbers carry over to words that were never heard, its code of 128 values is learned by heart.
RUN has the checkpoint `painter.ckpt`, the averaged weights `painter.pth`, the best ones `best.pth`, the listener they belong to, `history.json` and the page `index.html`.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from viseme_train import checkpoint
from viseme_train.avatar import hearing, lips, material
from viseme_train.avatar.events import Events
from viseme_train.avatar.lips import PersonCode
from viseme_train.avatar.material import Material, Window
from viseme_train.avatar.measure import Figures, Judge
from viseme_train.avatar.progress import Progress
from viseme_train.avatar.run_page import write_page
from viseme_train.avatar.settings import Fit, FitSettings
from viseme_train.avatar.video import ClipError
from viseme_train.compact.networks import describe
from viseme_train.compact.run import Run
from viseme_train.compact.train_painter import Hand, coarse, edges

T = TypeVar("T")
#: The listener's weights in a run's folder.
LISTENER = "listener.pth"
#: Robin's painter. It knows no skin, but where a mouth opens and closes: after 240 steps the loss is where it is after 350 from nothing.
BASE = Path(__file__).with_name("models") / "painter.pth"


class Critic(nn.Module):
    """Tells drawn mouths from filmed ones, patch by patch of 22 pixels: (B, 3, H, W) → what each layer sees, and the verdict (B, 1, H/4, W/4)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layer = lambda i, o, stride: nn.utils.parametrizations.spectral_norm(nn.Conv2d(i, o, 4, stride, 1))
        self.layers = nn.ModuleList([layer(3, width, 2), layer(width, 2 * width, 2), layer(2 * width, 2 * width, 1)])
        self.verdict = nn.Conv2d(2 * width, 1, 3, 1, 1)

    def forward(self, picture: torch.Tensor) -> list[torch.Tensor]:
        x, out = picture * 2 - 1, []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            out.append(x)
        return [*out, self.verdict(x)]


def structure(a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """1 − structural similarity in grey on three scales, weighted by place. Windows of 8 pixels by steps of 4: a pass over every pixel took longer than the network."""
    total = torch.zeros((), device=a.device)
    a, b = a.mean(1, keepdim=True).contiguous(), b.mean(1, keepdim=True).contiguous()
    for _ in range(3):
        means = F.avg_pool2d(torch.cat([a, b, a * a, b * b, a * b, weight], 1), 8, 4)
        ma, mb, aa, bb, ab, w = means.chunk(6, 1)
        va, vb, vab = aa - ma * ma, bb - mb * mb, ab - ma * mb
        similar = (2 * ma * mb + 1e-4) * (2 * vab + 9e-4) / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4))
        total = total + ((1 - similar) * w).sum() / (w.sum() + 1e-6)
        a, b, weight = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2), F.avg_pool2d(weight, 2)
    return total / 3


def loss(s: FitSettings, seen: torch.Tensor, wanted: torch.Tensor, mask: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
    """Absolute errors, edges, means and structure of what is seen inside of the mask; near the lips (B, 1, H, W; 0 … 1) they count more."""
    weight = (mask > 0) * (1 + s.mouth * near)
    weight = weight / weight.mean()
    error = (seen - wanted).contiguous()
    value = (error.abs() * weight).mean()
    value = value + s.edges * edges(error, weight) + s.coarse * coarse(error, weight)
    return value + s.structure * structure(seen, wanted, weight)


@dataclass
class Standing:
    """What `history.json` keeps: measurements, and how long none was better."""

    rows: list[dict[str, float]]
    best: float = -1.0
    worse: int = 0

    @classmethod
    def read(cls, path: Path) -> Standing:
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else cls([])

    def add(self, figures: Figures, minutes: float, processor: float, step: int) -> bool:
        """True for the best so far. `processor`: what this process has spent since the last measurement, in seconds; on a busy machine less than the clock says."""
        before = self.rows[-1]["processor_minutes"] if self.rows else 0.0
        self.rows.append({"minutes": round(minutes, 2), "processor_minutes": round(before + processor / 60, 2), "step": step} | asdict(figures))
        better = figures.score > self.best
        self.best, self.worse = (figures.score, 0) if better else (self.best, self.worse + 1)
        return better


class Rivals:
    """The critic with its optimiser."""

    def __init__(self, folder: Path, device: torch.device, s: FitSettings) -> None:
        self.path, self.weight, self.features = folder / "critic.ckpt", s.critic, s.features
        self.critic = Critic().to(device)
        self.optimizer = torch.optim.Adam(self.critic.parameters(), lr=s.peak / 5, betas=(0.5, 0.99))
        if self.path.exists():
            saved = checkpoint.load(self.path)
            self.critic.load_state_dict(saved["critic"])
            self.optimizer.load_state_dict(saved["optimizer"])

    def learn(self, seen: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """One step of the critic; gives the painter's loss: what the critic says, and how far apart it finds what it looks at."""
        with torch.autocast(seen.device.type, torch.bfloat16):
            good, bad = self.critic(wanted)[-1].float(), self.critic(seen.detach())[-1].float()
        self.optimizer.zero_grad()
        (F.relu(1 - good).mean() + F.relu(1 + bad).mean()).backward()
        self.optimizer.step()
        with torch.autocast(seen.device.type, torch.bfloat16):
            *drawn, said = self.critic(seen)
            with torch.no_grad():
                *filmed, _ = self.critic(wanted)
        alike = sum((a.float() - b.float()).abs().mean() for a, b in zip(drawn, filmed))
        return self.weight * (self.features * alike - said.float().mean())

    def save(self) -> None:
        checkpoint.save({"critic": self.critic.state_dict(), "optimizer": self.optimizer.state_dict()}, self.path)


@torch.no_grad()
def start_from(hand: Hand, base: dict[str, torch.Tensor], m: Material, train: np.ndarray, numbers: np.ndarray) -> None:
    """Gives a person's painter the weights of robin's, and turns the person's numbers into the mouth that robin would make of the same words."""
    hand.painter.load_state_dict({k.removeprefix("painter."): v for k, v in base.items() if k.startswith("painter.")} | dict(hand.painter.places.named_parameters("places")))
    said = describe(torch.from_numpy(m.mouth[train])).numpy()
    x = np.concatenate([numbers[train], np.ones((len(train), 1), np.float32)], 1)
    meant = torch.from_numpy(np.linalg.lstsq(x, said, rcond=None)[0].astype(np.float32))
    weight, bias = base["code.layers.0.weight"], base["code.layers.0.bias"]
    first, _, second, _ = hand.code.layers
    first.weight.copy_(weight @ meant[:-1].T)
    first.bias.copy_(weight @ meant[-1] + bias)
    second.weight.copy_(base["code.layers.2.weight"])
    second.bias.copy_(base["code.layers.2.bias"])


def ahead(make: Callable[[], T]) -> Generator[T, None, None]:
    """What `make` gives, over and over; another thread makes the next one meanwhile. Warping pictures is a quarter of a step's work."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(make)
        while True:
            ready, waiting = waiting.result(), pool.submit(make)
            yield ready


def part(pictures: torch.Tensor, window: Window, wanted: Window) -> torch.Tensor:
    """The wanted part of pictures that are a part themselves: (B, 3, h, w)."""
    columns, rows = (slice(b.start - a.start, b.stop - a.start) for a, b in zip(window, wanted))
    return pictures[..., rows, columns]


def begin(data: Path, work: Path, s: FitSettings) -> None:
    """A run belongs to one folder of data; another one is refused."""
    note = work / "fit.json"
    listener = json.loads((data / "data.json").read_text(encoding="utf-8"))["listener"]
    if checkpoint.sha256(hearing.LISTENER) != listener:
        raise ClipError(f"{data} was made with another listener. Run `viseme-train prepare` again; it does not look through the clips again.")
    settings = {k: v for k, v in asdict(s).items() if k not in ("minutes", "patience")}
    wanted = json.loads(json.dumps({"data": checkpoint.sha256(data / "data.json"), "listener": listener, "settings": settings}))
    if note.exists() and json.loads(note.read_text(encoding="utf-8")) != wanted:
        raise ClipError(f"{work} was begun with other data, settings or another listener. Give another folder.")
    if not note.exists() and work.exists() and any(p for p in work.iterdir() if p.name != LISTENER and ".part" not in p.name):
        raise ClipError(f"{work} is not empty and was not made by `viseme-train fit`. Give another folder.")
    # The pack gets this one, whatever the package has by then.
    with checkpoint.replacing(work / LISTENER) as scratch:
        shutil.copyfile(hearing.LISTENER, scratch)
    checkpoint.save_text(json.dumps(wanted, indent=2) + "\n", note)


def fit(data: Path, work: Path, s: FitSettings, device: str = "cpu") -> Figures:
    """Trains until the time is up or the held-out end gets no better, and gives the figures of the shipped weights."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(s.seed)
    m = material.load(data)
    train, held = material.split(m, s)
    if len(train) < 50:
        raise ClipError(f"{len(train)} frames remain for training; 50 are the least. Record more.")
    begin(data, work, s)
    with checkpoint.replacing(work / "mask.npz") as scratch:
        np.savez(scratch, mask=m.mask)
    numbers = lips.filmed(m, train)
    hand = Hand(PersonCode(), m.size)
    start_from(hand, checkpoint.load(BASE), m, train, numbers)
    lips.learn_to_follow(hand.code, m, train, numbers, s.apart)
    run = Run(Fit(device, work, s), "painter", s, s.minutes, hand.to(memory_format=torch.channels_last), betas=(0.9, 0.99), fused=True)
    rivals = Rivals(work, run.device, s)
    standing = Standing.read(work / "history.json")
    events = Events(work / "events")
    judge = Judge(m, train, held, s)
    rng = np.random.default_rng([s.seed, run.step])
    mask = torch.from_numpy(m.mask.astype(np.float32) / 255).to(run.device)
    progress = Progress("fit", s.minutes * 60, run.spent, timed=True)
    mouth = material.mouth_window(m)

    def draw_a_batch() -> tuple[Window, tuple[torch.Tensor, ...]]:
        window = mouth if rng.random() < s.parts else material.whole(m)
        return window, material.batch(m, train, numbers, s, rng, window)
    batches = ahead(draw_a_batch)
    measured, saved, counted = run.spent, time.time(), time.process_time()
    note = ""
    while not run.over:
        run.tick()
        progress.advance(run.spent - progress.done, note)
        run.model.train(run.progress <= s.freeze)
        run.model.painter.least_share = max(0.0, 1 - run.progress / s.all_drawn)
        window, batch = next(batches)
        image, target, said, near = (t.to(run.device) for t in batch)
        with torch.autocast(run.device.type, torch.bfloat16):
            drawn = run.model(image, said, (window[0].start, window[1].start))
        seen = image[:, :3] + (drawn.float() - image[:, :3]) * mask[window[1], window[0]]
        value = loss(s, seen, target, mask[window[1], window[0]], near)
        if run.progress > s.critic_from:
            value = value + rivals.learn(*(part(x, window, mouth) for x in (seen, target)))
        run.learn(value)
        if run.spent - measured >= s.measure_seconds or run.over:
            figures, grid = judge.measure(run.average)
            measured = time.time() - run.began
            better = standing.add(figures, run.spent / 60, time.process_time() - counted, run.step)
            counted = time.process_time()
            if better:
                checkpoint.save(checkpoint.plain_state(run.average), work / "best.pth")
            checkpoint.save_text(json.dumps(asdict(standing)) + "\n", work / "history.json")
            events.add(run.step, {**asdict(figures), "loss": float(value.detach())})
            write_page(work / "index.html", standing.rows, grid, run.over)
            note = figures.line()
            # Under the learning rate's schedule the end is the best part: only a long decline stops it.
            run.over = run.over or standing.worse >= s.patience
        if time.time() - saved > s.checkpoint_seconds:
            rivals.save()
            saved = time.time()
        run.save_if_due()
    batches.close()
    progress.finish(note)
    final = Hand(PersonCode(), m.size)
    final.load_state_dict(checkpoint.load(work / "best.pth"))
    figures, grid = judge.measure(final.eval())
    write_page(work / "index.html", standing.rows, grid, True)
    checkpoint.save_text(json.dumps(asdict(figures), indent=2) + "\n", work / "figures.json")
    return figures
