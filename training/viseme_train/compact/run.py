"""A training of the compact family: it goes on where it stopped, and publishes the average of its weights."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from viseme_train import checkpoint, config, device
from viseme_train.compact.settings import CompactConfig, TrainingSettings
from viseme_train.schedule import learning_rate

PRINT_SECONDS = 30
#: Between two steps; more than that, and the machine slept or the process was stopped: no time of training.
PAUSE_SECONDS = 90


class Place(Protocol):
    """What a run needs of any recipe's settings."""

    @property
    def device(self) -> str: ...
    @property
    def work(self) -> Path: ...
    @property
    def checkpoints(self) -> Path: ...


class Run:
    """Model, optimiser, clock and checkpoint `<work>/<name>.ckpt` of one training.

    while not run.over:
        run.tick()
        run.learn(loss)
        run.save_if_due()
    """

    def __init__(self, settings: Place, name: str, training: TrainingSettings, minutes: float, model: nn.Module, begin: Path | None = None,
                 **optimiser: object) -> None:
        """`begin`: weights of an earlier training, `NAME.pth` beside `NAME.json`, that this one begins with unless it goes on."""
        self.settings, self.name, self.training, self.minutes = settings, name, training, minutes
        self.device = device.choose(settings.device)
        self.model = model.to(self.device)
        self.average = copy.deepcopy(self.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=training.peak, weight_decay=training.weight_decay, **optimiser)
        self.path = settings.work / f"{name}.ckpt"
        self.step, self.spent, self.progress, self.over = 0, 0.0, 0.0, False
        self.before: dict[str, object] = {}
        if self.path.exists():
            saved = checkpoint.load(self.path)
            self.model.load_state_dict(saved["model"])
            self.average.load_state_dict(saved["average"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step, self.spent, self.before = saved["step"], saved["spent"], saved.get("before", {})
        elif begin:
            for weights in (self.model, self.average):
                weights.load_state_dict(checkpoint.load(begin), strict=True)
            self.before = {"before": json.loads(begin.with_suffix(".json").read_text())}
        self.began = time.time() - self.spent
        self.printed = self.saved = self.ticked = time.time()

    def tick(self) -> None:
        """Reads the clock and sets the learning rate; the step that follows is the last one when the time is up."""
        now = time.time()
        if now - self.ticked > PAUSE_SECONDS:
            self.began += now - self.ticked
        self.ticked = now
        self.spent = now - self.began
        self.progress = self.spent / (self.minutes * 60)
        self.over = self.progress >= 1
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.progress, self.training.peak, self.training.warmup)

    def learn(self, loss: torch.Tensor) -> None:
        """One step of the weights, and of their average towards them: what is shipped is the average."""
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip)
        self.optimizer.step()
        self.step += 1
        share = 1 - min(0.999, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for a, b in zip(self.average.state_dict().values(), self.model.state_dict().values()):
                if a.dtype.is_floating_point:
                    a.lerp_(b, share)
                else:
                    a.copy_(b)

    def is_print_due(self) -> bool:
        return self.over or time.time() - self.printed > PRINT_SECONDS

    def print(self, figures: str) -> None:
        print(f"step {self.step} {self.spent:.0f} s {figures}", flush=True)
        self.printed = time.time()

    def save_if_due(self) -> None:
        """Writes the checkpoint; beside it the averaged weights, which the export reads, and how long they were trained."""
        if not self.over and time.time() - self.saved <= self.training.checkpoint_seconds:
            return
        checkpoint.save({"model": self.model.state_dict(), "average": self.average.state_dict(), "optimizer": self.optimizer.state_dict(),
                         "step": self.step, "spent": self.spent, "before": self.before}, self.path)
        folder = self.settings.checkpoints
        checkpoint.save(checkpoint.plain_state(self.average), folder / f"{self.name}.pth")
        checkpoint.save_text(json.dumps({"steps": self.step, "minutes": round(self.spent / 60, 1), **self.before}) + "\n", folder / f"{self.name}.json")
        self.saved = time.time()


def command(doc: str | None, train: Callable[[CompactConfig, float, Path | None], None], training: Callable[[CompactConfig], TrainingSettings]) -> None:
    """What a training does when it is called from a command line."""
    parser = config.parser(doc)
    parser.add_argument("--minutes", type=float, help="wall clock over all resumptions, instead of the recipe's")
    parser.add_argument("--from", type=Path, metavar="NAME.pth", dest="begin", help="begin with the weights of an earlier training")
    a = parser.parse_args()
    settings = config.read(CompactConfig, a.config, a.set)
    train(settings, a.minutes or training(settings).minutes, a.begin)
