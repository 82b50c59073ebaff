"""What feature rows must tell: the layers that training reads them with, and figures of what they say. Never shipped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from viseme_train import corpus, metrics
from viseme_train import mouth as mouth_model
from viseme_train.config import Config, EncoderSettings
from viseme_train.corpus import Utterance
from viseme_train.phonemes import CANONICAL
from viseme_train.reference import frame_count
from viseme_train.schedule import learning_rate
from viseme_train.synctalk2d.audio_encoder import AudioEncoder
from viseme_train.synctalk2d.data import OFFSETS, MelShards


class Readout(nn.Module):
    """Linear layers and a 5×5 convolution on single rows for training, a small head over a feature window for measuring."""

    def __init__(self) -> None:
        super().__init__()
        self.row = nn.Linear(512, OFFSETS * (7 + len(CANONICAL)))
        self.place = nn.Conv2d(2, OFFSETS * 7, 5)
        self.reduce = nn.Linear(512, 64)
        self.window = nn.Sequential(nn.Linear(16 * 64, 192), nn.GELU(), nn.Linear(192, 7))

    def rows(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(…, 512) → mouth (…, 5, 7), phone logits (…, 5, classes)."""
        out = self.row(rows).unflatten(-1, (OFFSETS, -1))
        return out[..., :7], out[..., 7:]

    def places(self, rows: torch.Tensor) -> torch.Tensor:
        """(B, 512) → mouth (B, places, 5, 7), each said by a 5×5 part of the row's two planes."""
        return self.place(rows.unflatten(1, (2, 16, 16))).flatten(2).transpose(1, 2).unflatten(2, (OFFSETS, 7))

    def windows(self, rows: torch.Tensor) -> torch.Tensor:
        """(B, R, 512) → mouth of the frames whose windows fit, (B, R − 15, 7)."""
        reduced = nn.functional.gelu(self.reduce(rows))
        pieces = reduced.unfold(1, 16, 1).transpose(2, 3).flatten(2)  # (B, R−15, 16·64)
        return self.window(pieces)


def scale(settings: EncoderSettings) -> torch.Tensor:
    """Weight of each mouth parameter's squared error."""
    return torch.tensor(settings.importance) / torch.tensor(settings.deviation) ** 2


def fit_head(encoder: AudioEncoder, readout: Readout, config: Config, device: torch.device) -> float:
    """Trains the window head alone on the rows of the finished encoder, which are computed once; gives the last mean loss."""
    settings = config.encoder
    encoder.eval()
    data = MelShards(np.random.default_rng(settings.seed + 5), config.work, settings)
    kept_rows, kept_frames = [], []
    with torch.no_grad():
        for _ in range(max(1, settings.head_places // 16)):
            x, _, real, _, _, frame = (v.to(device) for v in data.batch(16, 24))
            with torch.autocast(device.type, torch.bfloat16):
                flat = encoder(x.contiguous(memory_format=torch.channels_last)).float()
            kept_rows.append(flat.unflatten(0, (16, 24)) * real[..., None])
            kept_frames.append(frame)
    rows, frames = torch.cat(kept_rows), torch.cat(kept_frames)
    weights = scale(settings).to(device)
    opening = 1 / settings.deviation[0] ** 2
    torch.manual_seed(settings.seed)
    fresh = Readout()
    readout.reduce.load_state_dict(fresh.reduce.state_dict())
    readout.window.load_state_dict(fresh.window.state_dict())
    optimizer = torch.optim.AdamW([*readout.reduce.parameters(), *readout.window.parameters()], lr=settings.peak, weight_decay=0.05)
    readout.train()
    total = 0.0
    for epoch in range(settings.head_epochs):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(epoch / settings.head_epochs, settings.peak, settings.warmup)
        total = 0.0
        for pick in torch.randperm(len(rows)).split(64):
            window = readout.windows(nn.functional.dropout(rows[pick], 0.15))
            frame = frames[pick]
            aperture = window[..., 0] * (1 - window[..., 3].clamp(0, 1))
            true = mouth_model.aperture(frame)
            # Closures are a tenth of the frames: unweighted, a mean of squares is shy of closing.
            weight = 1 + 1.5 * ((frame[..., 3] > 0.8) & (frame[..., 0] > 0.05)).float()
            loss = ((window - frame).pow(2) * weights * weight[..., None]).mean() + ((aperture - true).pow(2) * weight).mean() * opening
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(pick)
    readout.eval()
    return total / len(rows)


def predict(wave: np.ndarray, encoder: AudioEncoder, readout: Readout) -> tuple[np.ndarray, np.ndarray]:
    """Mouth track that the window head reads from a wave, [frames, 7], and the rows. Both models are on the CPU."""
    rows = corpus.encode(wave, encoder)
    frames = frame_count(len(wave))
    padded = np.zeros((frames + 16, 512), np.float32)
    count = min(len(rows), frames + 8)
    padded[8:8 + count] = rows[:count]
    with torch.inference_mode():
        out = readout.windows(torch.from_numpy(padded[None, :frames + 15]))[0].numpy()
    return np.clip(out, [0, -1, 0, 0, 0, 0, 0], 1), rows


def measure(items: Sequence[Utterance], encoder: AudioEncoder, readout: Readout, snr: float | None = None, seed: int = 3) -> dict[str, float]:
    """Figures of a pack's quality, read by the window head instead of from pixels."""
    rng = np.random.default_rng(seed)
    truth: list[np.ndarray] = []
    guess: list[np.ndarray] = []
    speech: list[np.ndarray] = []
    rows: list[np.ndarray] = []
    counts = np.zeros(4)
    for u in items:
        voice = u.wave16k * 0.5 / np.abs(u.wave16k).max()
        wave = np.concatenate([np.zeros(4800), voice, np.zeros(4800)])
        phones = [(i, s + 0.3, e + 0.3) for i, s, e in u.phones]
        if snr is not None:
            wave = wave + rng.standard_normal(len(wave)) * np.sqrt(voice.var()) * 10 ** (-snr / 20)
        track = mouth_model.track(phones, len(wave))
        out, r = predict(wave, encoder, readout)
        spoken = mouth_model.classes(phones, len(wave)) != 0
        for kept, values in ((truth, track), (guess, out), (rows, r), (speech, spoken)):
            kept.append(values)
        counts += metrics.closures(mouth_model.aperture(out), mouth_model.aperture(track), spoken, phones, closed=0.10, clearly_open=0.15)
    t, g, s = np.concatenate(truth), np.concatenate(guess), np.concatenate(speech)
    ta, ga = mouth_model.aperture(t), mouth_model.aperture(g)
    lags = [metrics.correlation(np.roll(ga, -lag), ta) for lag in range(-3, 4)]
    return {"aperture": metrics.correlation(ga, ta), "aperture speech": metrics.correlation(ga[s], ta[s]),
            **{name: metrics.correlation(g[s, i], t[s, i]) for i, name in enumerate(mouth_model.MOUTH)},
            "closures": counts[0] / max(counts[1], 1), "false": counts[2] / max(counts[3], 1), "lag": int(np.argmax(lags)) - 3,
            "rank99": metrics.rank(np.concatenate(rows))}
