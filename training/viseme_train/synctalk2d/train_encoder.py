"""Trains the audio encoder: rows that say where the mouth is and which phones are spoken around it.

    python -m viseme_train.synctalk2d.train_encoder --config RECIPE.toml [--device cpu] [--minutes 45]

One linear layer on a row predicts the mouth at five moments of its 200 ms and the phone classes there. The generator's audio
branch sees a row as two 16×16 planes through small convolutions, so one 5×5 convolution has to find the mouth everywhere on them,
too. A small penalty on correlated features and the phone classes keep the rank of the rows high. Seeded; a checkpoint every two
minutes, from which it resumes; the plain state dict goes to `<checkpoints>/audio_visual_encoder.pth` each time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from viseme_train import checkpoint, config, metrics
from viseme_train import mouth as mouth_model
from viseme_train.config import Config
from viseme_train.device import DEVICES, Average, choose, spawn
from viseme_train.schedule import Budget, learning_rate
from viseme_train.synctalk2d import audio_encoder
from viseme_train.synctalk2d.data import MelShards
from viseme_train.synctalk2d.losses import decorrelation
from viseme_train.synctalk2d.readout import Readout, scale


@dataclass(frozen=True)
class Run:
    """How one run goes; what the trained network depends on besides is in the settings."""

    budget: Budget
    device: str = "cpu"
    #: Keep the weights, begin the schedule anew.
    restart: bool = False
    #: Begin from nothing although there is a checkpoint.
    fresh: bool = False
    #: An encoder whose rows for undisturbed sound the rows shall stay close to, so that a generator trained on them remains valid.
    anchor: Path | None = None
    port: int = 29511


def resume_path(config: Config) -> Path:
    return config.work / "encoder.ckpt"


def train(rank: int, workers: int, settings: Config, run: Run) -> list[float]:
    """Trains until the budget is spent; gives the loss of every step of this run."""
    if workers > 1:
        torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    s = settings.encoder
    torch.manual_seed(s.seed)
    device = choose(run.device)
    encoder = audio_encoder.AudioEncoder().to(device, memory_format=torch.channels_last)
    readout = Readout().to(device)
    parameters = [*encoder.parameters(), *readout.parameters()]
    optimizer = torch.optim.AdamW([{"params": [p for p in parameters if p.ndim > 1], "weight_decay": s.weight_decay},
                                   {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}], lr=s.peak)
    path = resume_path(settings)
    step, spent = 0, 0.0
    if path.exists() and not run.fresh:
        state = checkpoint.load(path)
        encoder.load_state_dict(state["encoder"])
        readout.load_state_dict(state["readout"])
        if not run.restart:
            optimizer.load_state_dict(state["optimizer"])
            step, spent = state["step"], state["elapsed"]
        if rank == 0:
            print(f"resumed at step {step}, {spent / 60:.1f} minutes", flush=True)

    def save() -> None:
        checkpoint.save({"encoder": encoder.state_dict(), "readout": readout.state_dict(), "optimizer": optimizer.state_dict(),
                         "step": step, "elapsed": spent}, path)
        checkpoint.save(checkpoint.plain_state(encoder), settings.encoder_checkpoint)

    average = Average(rank, workers, run.port)
    torch.manual_seed(s.seed + step * 100 + rank)
    data = MelShards(np.random.default_rng([s.seed, step, rank]), settings.work, s)
    anchor = audio_encoder.load(run.anchor).to(device, memory_format=torch.channels_last) if run.anchor else None
    weights = scale(s).to(device)
    last = saved = time.monotonic()
    logs: list[list[float]] = []
    losses: list[float] = []
    encoder.train(), readout.train()
    while (progress := run.budget.progress(step, spent)) < 1:
        rate = learning_rate(progress, s.peak, s.warmup)
        for group in optimizer.param_groups:
            group["lr"] = rate
        x, plain, real, track, phone, _ = (v.to(device, non_blocking=True) for v in data.batch(s.batch, 1))
        with torch.autocast(device.type, torch.bfloat16):
            flat = encoder(x.contiguous(memory_format=torch.channels_last))
        flat = flat.float()
        guess, logits = readout.rows(nn.functional.dropout(flat, s.dropout))
        track, phone, live = track[:, 0], phone[:, 0], real[:, :, None]
        row_loss = ((guess - track).pow(2) * weights * live).mean()
        class_loss = nn.functional.cross_entropy(logits.flatten(0, 1), phone.flatten(), label_smoothing=0.05)
        aperture, true = mouth_model.aperture(guess), mouth_model.aperture(track)
        open_loss = ((aperture - true).pow(2) * live[..., 0]).mean() / s.deviation[0] ** 2
        places = readout.places(nn.functional.dropout(flat, s.dropout))
        place_loss = ((places - track[:, None]).pow(2) * (weights * live)[:, None]).mean()
        spread = decorrelation(flat)
        level = (flat.mean(0) - 0.45).pow(2).mean()  # every feature alive, the rows in the usual range
        loss = row_loss + s.places * place_loss + s.phones * class_loss + s.opening * open_loss + s.decorrelation * spread + s.level * level
        if anchor is not None:
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
                wanted = anchor(plain.contiguous(memory_format=torch.channels_last)).float()
            loss = loss + s.anchor * (flat - wanted).pow(2).mean() / 0.1
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        now = time.monotonic()
        spent = average(parameters, spent + now - last)
        last = now
        nn.utils.clip_grad_norm_(parameters, s.clip)
        optimizer.step()
        step += 1
        losses.append(float(loss.detach()))
        logs.append([v.item() for v in (row_loss, class_loss, open_loss, spread, place_loss)])
        if step % 100 == 0:
            if rank == 0:
                mean = np.mean(logs, 0)
                values = flat.detach()
                print(f"step {step} {spent / 60:.1f} min lr {rate:.1e} row {mean[0]:.3f} class {mean[1]:.3f} open {mean[2]:.3f} "
                      f"spread {mean[3]:.4f} places {mean[4]:.3f} zeros {(values == 0).float().mean():.2f} mean {values.mean():.2f} "
                      f"max {values.max():.1f} rank99 {metrics.rank(values.cpu().numpy())}", flush=True)
            logs = []
            data.scan()
        if rank == 0 and now - saved > s.checkpoint_seconds:
            save()
            saved = now
    if rank == 0:
        save()
    average.close()
    return losses


def main() -> None:
    parser = config.parser(__doc__)
    parser.add_argument("--device", choices=DEVICES, help="instead of the settings'")
    parser.add_argument("--minutes", type=float, help="wall clock of the whole schedule over all resumptions, instead of the settings'")
    parser.add_argument("--steps", type=int, help="length of the schedule in steps, instead of minutes")
    parser.add_argument("--workers", type=int, help="processes of one thread; 1 uses every core in one process")
    parser.add_argument("--port", type=int, default=29511)
    parser.add_argument("--anchor", type=Path, help="an encoder whose rows for undisturbed sound the rows shall stay close to")
    parser.add_argument("--restart", action="store_true", help="keep the weights, begin the schedule anew")
    parser.add_argument("--fresh", action="store_true", help="begin from nothing")
    a = parser.parse_args()
    settings = config.chosen(a)
    device = a.device or settings.device
    run = Run(Budget(settings.encoder.minutes if a.minutes is None else a.minutes, a.steps), device, a.restart, a.fresh, a.anchor, a.port)
    spawn(train, a.workers or (settings.encoder.workers if device == "cpu" else 1), device, settings, run)


if __name__ == "__main__":
    main()
