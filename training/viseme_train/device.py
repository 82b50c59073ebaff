"""Where a training runs: one device, or on the CPU several processes of one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

DEVICES = ("cpu", "cuda", "mps")


def choose(name: str) -> torch.device:
    """The device by its name; one that this machine lacks is an error, never the CPU instead."""
    if name not in DEVICES:
        raise ValueError(f"unknown device {name!r}: one of {', '.join(DEVICES)}")
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("device cuda: this PyTorch sees no CUDA device. Use --device cpu.")
    if name == "mps" and not torch.backends.mps.is_available():
        raise RuntimeError("device mps: this PyTorch sees no Metal device. Use --device cpu.")
    return torch.device(name)


class Average:
    """Gradients averaged over worker processes of one thread each.

    On a shared machine two threads of one process wait for each other three times as long as they work; two processes
    that meet once a step do not.
    """

    def __init__(self, rank: int, workers: int, port: int) -> None:
        self.workers = workers
        if workers > 1:
            torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=workers)

    def __call__(self, parameters: Sequence[torch.Tensor], elapsed: float) -> float:
        """Averages gradients in place and the elapsed time, so that all workers follow one schedule."""
        if self.workers == 1:
            return elapsed
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients] + [torch.tensor([elapsed])])
        torch.distributed.all_reduce(flat)
        flat /= self.workers
        at = 0
        for g in gradients:
            g.copy_(flat[at:at + g.numel()].view_as(g))
            at += g.numel()
        return float(flat[-1])

    def close(self) -> None:
        if self.workers > 1:
            torch.distributed.barrier()
            torch.distributed.destroy_process_group()


def spawn(function: Callable[..., object], workers: int, device: str, *arguments: object) -> None:
    """Runs `function(rank, workers, *arguments)` in this process, or in several on the CPU."""
    if workers > 1 and device != "cpu":
        raise ValueError(f"{workers} workers share the CPU: with device {device} there is one")
    choose(device)
    if workers == 1:
        function(0, 1, *arguments)
    else:
        torch.multiprocessing.spawn(function, args=(workers, *arguments), nprocs=workers)
