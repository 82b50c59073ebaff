"""How long a training runs, and its learning rate on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """The length of a training over all resumptions: minutes of wall clock, or steps when they are given."""

    minutes: float
    steps: int | None = None

    def progress(self, step: int, seconds: float) -> float:
        """0 at the beginning, 1 or more when the training is over."""
        if self.steps is not None:
            return step / self.steps if self.steps else 1.0
        return seconds / (self.minutes * 60) if self.minutes > 0 else 1.0


def learning_rate(progress: float, peak: float, warmup: float = 0.04) -> float:
    """Linear warm-up over a share of the training, then a cosine to a hundredth of the peak."""
    if progress < warmup:
        return peak * max(progress, 1e-3) / warmup
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup)))))
