"""Trains the audio encoder: rows that say where the mouth is and which phones are spoken around it.

    python train_encoder.py [--minutes 45] [--workers 2]

One linear layer on a row predicts the mouth at five moments of its 200 ms and the phone classes there. The generator's audio
branch sees a row as two 16×16 planes through small convolutions, so one 5×5 convolution has to find the mouth everywhere on them,
too. A small penalty on correlated features and the phone classes keep the rank of the rows high. At the end a small head over the 16-row feature
window (the generator's view) is fitted to the finished rows: it measures what they tell, and is not shipped. Seeded; a checkpoint every two minutes, from which it resumes; the plain state dict goes to
checkpoints/robin/audio_visual_encoder.pth each time.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

import augment
import corpus
import mouth as mouth_model
from audio_encoder import AudioEncoder
from phonemes import BILABIALS, CANONICAL
from speech import HERE, work

SEED = 11
#: Rows a step and worker, each from another place: neighbouring rows share 80 % of their audio and teach little more than
#: one of them, and on a CPU many small steps learned far more in the same time than few large ones (2 × 48 rows, not 288).
BATCH = 48
OFFSETS = 5  # a row's window covers its frames k … k+4
#: Weight of each mouth parameter in the loss.
IMPORTANCE = torch.tensor([1.5, 1.0, 1.0, 2.0, 1.0, 0.7, 0.5])


class Readout(nn.Module):
    """What the rows must tell: used in training and in measuring, never shipped."""

    def __init__(self):
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
        reduced = torch.nn.functional.gelu(self.reduce(rows))
        pieces = reduced.unfold(1, 16, 1).transpose(2, 3).flatten(2)  # (B, R−15, 16·64)
        return self.window(pieces)


class Data:
    """The augmented mels, read as sequences of feature rows by the contract's rules."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.shards: list[dict] = []
        self.scan()

    def scan(self) -> None:
        """Takes in shards that `augment.py` has finished since."""
        while (path := work() / "mels" / f"{len(self.shards)}.npz").exists():
            with np.load(path) as data:
                shard = {k: data[k] for k in data.files}
            shard["c0"] = np.concatenate([[0], np.cumsum(shard["columns"])])
            shard["f0"] = np.concatenate([[0], np.cumsum(shard["frames"])])
            weight = shard["frames"].astype(np.float64)
            weight[shard["natural"]] *= 2.5  # they sound like people
            #: The usual loud value of a clip, for noise at a given distance.
            shard["loud"] = np.array([augment.loud(shard["mel"][a:b]) for a, b in zip(shard["c0"][:-1], shard["c0"][1:])], np.float32)
            weight[shard["quiet"]] = 0
            weight /= weight.sum()
            calm = shard["quiet"] / shard["quiet"].sum()
            shard["p"] = np.cumsum(0.95 * weight + 0.05 * calm)
            self.shards.append(shard)
        if not self.shards:
            raise FileNotFoundError("no mels: run `python augment.py` first")

    def batch(self, size: int, count: int):
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
            n = corpus.reference.window_count(columns)
            first = int(r.integers(0, max(1, frames - heads + 1) if heads else n))
            index = first - before + np.arange(count)  # into the audio rows A
            real[b] = (index >= 0) & (index < n + 2)
            rows = np.clip(index - 1, 0, n - 1)
            starts = np.minimum(16 * rows // 5, columns - 16)
            low, high = int(starts[0]), int(starts[-1]) + 16
            raw = shard["mel"][shard["c0"][u] + low:shard["c0"][u] + high].astype(np.float32)
            still = np.abs(target[np.minimum((np.arange(low, high) / 3.2).astype(int), frames - 1)]).sum(1) < 0.02
            mel = augment.vary(r, augment.breathe(r, raw, still, shard["loud"][u]), shard["loud"][u])
            for j, (k, s) in enumerate(zip(rows, starts - low)):
                x[b, j], plain[b, j] = mel[s:s + 16], raw[s:s + 16]
                have = min(OFFSETS, frames - k)
                if have > 0:
                    track[b, j, :have], phone[b, j, :have] = target[k:k + have], names[k:k + have]
            if heads:
                frame[b] = target[first:first + heads]
        x, plain = (np.ascontiguousarray(a.transpose(0, 1, 3, 2)).reshape(size * count, 1, 80, 16) for a in (x, plain))
        return tuple(map(torch.from_numpy, (x, plain, real, track, phone, frame)))


def decorrelation(rows: torch.Tensor) -> torch.Tensor:
    """Mean squared correlation between features: what makes the rank low."""
    z = rows - rows.mean(0)
    z = z / (z.std(0) + 0.05)
    c = (z.T @ z) / len(z)
    return (c.pow(2).sum() - c.diagonal().pow(2).sum()) / (c.shape[0] * (c.shape[0] - 1))


def rank(rows: np.ndarray, share: float = 0.99) -> int:
    """Directions that hold `share` of the variance."""
    values = np.linalg.eigvalsh(np.cov(rows.T))[::-1]
    return int(np.searchsorted(np.cumsum(values) / values.sum(), share) + 1)


# --- measuring ---


def predict(wave: np.ndarray, encoder: AudioEncoder, readout: Readout, head: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Mouth track that the window head reads from a wave, [frames, 7], and the rows."""
    rows = corpus.encode(wave, encoder)
    frames = mouth_model.frame_count(len(wave))
    padded = np.zeros((frames + 16, 512), np.float32)
    count = min(len(rows), frames + 8)
    padded[8:8 + count] = rows[:count]
    with torch.inference_mode():
        out = readout.windows(torch.from_numpy(padded[None, :frames + 15]))[0].numpy()
        if not head:  # the mean of what the five rows that cover a frame say about it
            track = readout.rows(torch.from_numpy(rows[1:-1]))[0].numpy()
            out = np.zeros((frames, 7), np.float32)
            for f in range(frames):
                said = [track[f - d, d] for d in range(OFFSETS) if 0 <= f - d < len(track)]
                out[f] = np.mean(said, axis=0) if said else 0
    return np.clip(out, [0, -1, 0, 0, 0, 0, 0], 1), rows


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-6 and b.std() > 1e-6 else float("nan")


def measure(items, encoder, readout, snr: float | None = None, seed: int = 3, head: bool = True) -> dict[str, float]:
    """Figures of the issue, read by the window head instead of pixels."""
    rng = np.random.default_rng(seed)
    truth, guess, speech, rows = [], [], [], []
    found = total = false = open_frames = 0
    for u in items:
        wave = np.concatenate([np.zeros(4800), u.wave16k * 0.5 / np.abs(u.wave16k).max(), np.zeros(4800)])
        phones = [(i, s + 0.3, e + 0.3) for i, s, e in u.phones]
        if snr is not None:
            wave = wave + rng.standard_normal(len(wave)) * np.sqrt((u.wave16k * 0.5 / np.abs(u.wave16k).max()).var()) * 10 ** (-snr / 20)
        track = mouth_model.track(phones, len(wave))
        out, r = predict(wave, encoder, readout, head)
        truth.append(track), guess.append(out), rows.append(r)
        names = mouth_model.classes(phones, len(wave))
        speech.append(names != 0)
        a, t = mouth_model.aperture(out), mouth_model.aperture(track)
        limit = 0.10
        for i, s, e in phones:
            if i in BILABIALS:
                k = int((s + e) / 2 * 25)
                total += 1
                found += a[max(0, k - 1):k + 2].min() < limit
        # A false closure: closed in the middle of speech with no closure within one frame in the truth.
        near = np.minimum(np.minimum(t, np.roll(t, 1)), np.roll(t, -1))
        where = (names != 0) & (near > 0.15)
        false += int(((a < limit) & where).sum())
        open_frames += int(where.sum())
    t, g, s = np.concatenate(truth), np.concatenate(guess), np.concatenate(speech)
    ta, ga = mouth_model.aperture(t), mouth_model.aperture(g)
    lags = [correlation(np.roll(ga, -lag), ta) for lag in range(-3, 4)]
    return {"aperture": correlation(ga, ta), "aperture speech": correlation(ga[s], ta[s]),
            **{name: correlation(g[s, i], t[s, i]) for i, name in enumerate(mouth_model.MOUTH)},
            "closures": found / max(total, 1), "false": false / max(open_frames, 1), "lag": int(np.argmax(lags)) - 3,
            "rank99": rank(np.concatenate(rows))}


def human(encoder, readout, path: str) -> dict[str, float]:
    """The checks on a human recording: loudness, pauses, level."""
    import soundfile
    from scipy import signal

    wave, sample_rate = soundfile.read(path)
    assert sample_rate == 16000
    tracks = {g: predict(wave * g, encoder, readout)[0] for g in (1.0, 0.3, 0.1)}
    a = {g: mouth_model.aperture(t) for g, t in tracks.items()}
    band = signal.sosfiltfilt(signal.butter(4, [300, 3000], "bandpass", fs=16000, output="sos"), wave)
    power = np.array([np.mean(band[k * 640:(k + 1) * 640] ** 2) for k in range(len(a[1.0]))])
    loud = 10 * np.log10(power + 1e-10)
    loud = np.maximum(loud, loud.max() - 60)
    quiet = loud < loud.max() - 35
    core, run = np.zeros(len(quiet), bool), 0
    for k in range(len(quiet) + 1):
        if k < len(quiet) and quiet[k]:
            run += 1
            continue
        if run > 10:
            core[k - run + 3:k - 3] = True
        run = 0
    top = np.percentile(a[1.0], 98)
    return {"loudness r": max(correlation(np.roll(a[1.0], lag), loud) for lag in (-1, 0, 1)),
            "closed in pauses": float((a[1.0][core] < 0.1 * top).mean()), "pause frames": int(core.sum()),
            "closed when loud": float((a[1.0][loud > np.percentile(loud, 75)] < 0.1 * top).mean()),
            "gain .3": correlation(a[0.3], a[1.0]), "gain .1": correlation(a[0.1], a[1.0])}


def silence(encoder, readout) -> dict[str, float]:
    """Largest aperture in digital silence and in 20 s of noise at −60 dB."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(320000) * 1e-3
    return {name: float(mouth_model.aperture(predict(wave, encoder, readout)[0]).max())
            for name, wave in (("silence", np.zeros(80000)), ("noise -60 dB", noise))}


def report(encoder, readout, human_clip: str | None) -> None:
    encoder.eval(), readout.eval()
    unseen = corpus.load("heldout_sentence")
    voices = corpus.load("heldout_voice")
    natural = [u for u in unseen if u.voice in ("slt", "awb", "slt-hts")]
    rms = [u for u in voices if u.voice == "rms" and u.unseen_text]
    other = [u for u in voices if u.voice != "rms"]
    for name, items, snr in (("unseen sentences", unseen[::3], None), ("natural, unseen sentences", natural[::2], None), ("rms", rms, None),
                             ("rms 15 dB", rms, 15), ("natural 15 dB", natural[::3], 15), ("ked and f4", other[::2], None)):
        print(f"{name:26s}", " ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in measure(items, encoder, readout, snr).items()), flush=True)
    print("quiet", silence(encoder, readout), flush=True)
    if human_clip:
        print("human", {k: round(v, 3) for k, v in human(encoder, readout, human_clip).items()}, flush=True)


# --- training ---


def fit_head(encoder, readout, places: int = 1600, epochs: int = 40) -> None:
    """Trains the window head alone on the rows of the finished encoder: they are computed once, so it takes a minute.

    It measures what the rows tell over time, as the generator reads them; nothing of it is shipped.
    """
    encoder.eval()
    data = Data(np.random.default_rng(SEED + 5))
    kept_rows, kept_frames = [], []
    with torch.inference_mode():
        for _ in range(places // 16):
            x, _, real, _, _, frame = data.batch(16, 24)
            with torch.autocast("cpu", torch.bfloat16):
                flat = encoder(x.contiguous(memory_format=torch.channels_last)).float()
            kept_rows.append(flat.unflatten(0, (16, 24)) * real[..., None])
            kept_frames.append(frame)
    rows, frames = torch.cat(kept_rows).clone(), torch.cat(kept_frames)
    scale = IMPORTANCE / torch.tensor([0.18, 0.32, 0.24, 0.33, 0.25, 0.28, 0.28]) ** 2
    torch.manual_seed(SEED)
    fresh = Readout()
    readout.reduce.load_state_dict(fresh.reduce.state_dict())
    readout.window.load_state_dict(fresh.window.state_dict())
    parameters = list(readout.reduce.parameters()) + list(readout.window.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=0.05)
    readout.train()
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(epoch / epochs, 2e-3)
        total = 0.0
        for pick in torch.randperm(len(rows)).split(64):
            window = readout.windows(nn.functional.dropout(rows[pick], 0.15))
            frame = frames[pick]
            aperture = window[..., 0] * (1 - window[..., 3].clamp(0, 1))
            true = frame[..., 0] * (1 - frame[..., 3])
            # Closures are a tenth of the frames: unweighted, a mean of squares is shy of closing.
            weight = 1 + 1.5 * ((frame[..., 3] > 0.8) & (frame[..., 0] > 0.05)).float()
            loss = ((window - frame).pow(2) * scale * weight[..., None]).mean() + ((aperture - true).pow(2) * weight).mean() / 0.18 ** 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(pick)
    print(f"head: loss {total / len(rows):.3f} on {len(rows)} places", flush=True)
    readout.eval()


def learning_rate(progress: float, peak: float) -> float:
    """Warm-up over 4 %, then a cosine to a hundredth."""
    if progress < 0.04:
        return peak * max(progress, 1e-3) / 0.04
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - 0.04) / 0.96))))


class Average:
    """Gradients averaged over worker processes of one thread each.

    On a shared machine two threads of one process wait for each other three times as long as they work; two processes
    that meet once a step do not.
    """

    def __init__(self, rank: int, workers: int, port: int):
        self.rank, self.workers = rank, workers
        if workers > 1:
            torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=workers)

    def __call__(self, parameters: list[torch.Tensor], elapsed: float) -> float:
        """Averages gradients in place and the elapsed time, so that all workers follow one schedule."""
        if self.workers == 1:
            return elapsed
        flat = torch.cat([p.grad.flatten() for p in parameters] + [torch.tensor([elapsed])])
        torch.distributed.all_reduce(flat)
        flat /= self.workers
        at = 0
        for p in parameters:
            p.grad.copy_(flat[at:at + p.numel()].view_as(p))
            at += p.numel()
        return float(flat[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=45, help="wall clock of the whole schedule, over all resumptions")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread; 1 uses every core in one process")
    parser.add_argument("--port", type=int, default=29511)
    parser.add_argument("--peak", type=float, default=2e-3)
    parser.add_argument("--measure", action="store_true", help="measure the checkpoint and stop")
    parser.add_argument("--head", action="store_true", help="fit the window head again, then measure and stop")
    parser.add_argument("--human", help="a human 16 kHz recording to check, too")
    parser.add_argument("--anchor", help="an encoder whose rows for undisturbed sound the rows shall stay close to, so that a "
                        "generator trained on them remains valid")
    parser.add_argument("--restart", action="store_true", help="keep the weights, begin the schedule anew")
    parser.add_argument("--output", type=Path, default=HERE / "checkpoints" / "robin" / "audio_visual_encoder.pth")
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    if arguments.measure or arguments.head or torch.cuda.is_available():
        arguments.workers = 1
    if arguments.workers > 1:
        torch.multiprocessing.spawn(train, args=(arguments,), nprocs=arguments.workers)
    else:
        train(0, arguments)


def train(rank_: int, arguments: argparse.Namespace) -> None:
    if arguments.workers > 1:
        torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(SEED)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder = AudioEncoder().to(device, memory_format=torch.channels_last)
    readout = Readout().to(device)
    parameters = list(encoder.parameters()) + list(readout.parameters())
    decay = [p for p in parameters if p.ndim > 1]
    rest = [p for p in parameters if p.ndim <= 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}], lr=arguments.peak)
    path = work() / "encoder.ckpt"
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    step, elapsed = 0, 0.0
    if path.exists() and not arguments.fresh:
        state = torch.load(path, map_location=device, weights_only=True)
        encoder.load_state_dict(state["encoder"])
        if arguments.restart:  # the weights alone; what is new in the readout begins at random
            readout.load_state_dict(state["readout"], strict=False)
        else:
            readout.load_state_dict(state["readout"])
            optimizer.load_state_dict(state["optimizer"])
        step, elapsed = state["step"], 0.0 if arguments.restart else state["elapsed"]
        print(f"resumed at step {step}, {elapsed / 60:.1f} minutes", flush=True)
    if arguments.head:
        fit_head(encoder, readout)
        torch.save(readout.state_dict(), work() / "readout.pth")
    if arguments.measure or arguments.head:
        report(encoder, readout, arguments.human)
        return

    def save() -> None:
        scratch = path.with_suffix(".part")
        torch.save({"encoder": encoder.state_dict(), "readout": readout.state_dict(), "optimizer": optimizer.state_dict(),
                    "step": step, "elapsed": elapsed}, scratch)
        os.replace(scratch, path)
        target = arguments.output
        torch.save({k: v.cpu().contiguous() for k, v in encoder.state_dict().items()}, target.with_suffix(".part"))
        os.replace(target.with_suffix(".part"), target)

    average = Average(rank_, arguments.workers, arguments.port)
    torch.manual_seed(SEED + step * 100 + rank_)
    data = Data(np.random.default_rng([SEED, step, rank_]))
    anchor = None
    if arguments.anchor:
        from audio_encoder import load as load_encoder

        anchor = load_encoder(arguments.anchor).to(device, memory_format=torch.channels_last)
    scale = (IMPORTANCE / torch.tensor([0.18, 0.32, 0.24, 0.33, 0.25, 0.28, 0.28]) ** 2).to(device)
    budget = arguments.minutes * 60
    last, saved, logs = time.monotonic(), time.monotonic(), []
    encoder.train(), readout.train()
    shared = elapsed  # the same in all workers, so that they stop at the same step
    while shared < budget:
        rate = learning_rate(elapsed / budget, arguments.peak)
        for group in optimizer.param_groups:
            group["lr"] = rate
        x, plain, real, track, phone, _ = (v.to(device, non_blocking=True) for v in data.batch(BATCH, 1))
        with torch.autocast(device, torch.bfloat16):
            flat = encoder(x.contiguous(memory_format=torch.channels_last))
        flat = flat.float()
        guess, logits = readout.rows(nn.functional.dropout(flat, 0.1))
        track, phone, live = track[:, 0], phone[:, 0], real[:, :, None]
        row_loss = ((guess - track).pow(2) * scale * live).mean()
        class_loss = nn.functional.cross_entropy(logits.flatten(0, 1), phone.flatten(), label_smoothing=0.05)
        aperture, true = mouth_model.aperture(guess), mouth_model.aperture(track)
        open_loss = ((aperture - true).pow(2) * live[..., 0]).mean() / 0.18 ** 2
        places = readout.places(nn.functional.dropout(flat, 0.1))
        place_loss = ((places - track[:, None]).pow(2) * (scale * live)[:, None]).mean()
        spread = decorrelation(flat)
        size = (flat.mean(0) - 0.45).pow(2).mean()  # every feature alive, the rows in the usual range
        anchor_loss = flat.new_zeros(())
        if anchor is not None:
            with torch.no_grad(), torch.autocast(device, torch.bfloat16):
                wanted = anchor(plain.contiguous(memory_format=torch.channels_last)).float()
            anchor_loss = (flat - wanted).pow(2).mean() / 0.1
        loss = 0.5 * anchor_loss + row_loss + 0.5 * place_loss + 0.2 * class_loss + 0.3 * open_loss + 0.3 * spread + 0.3 * size
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        elapsed = shared = average([p for p in parameters if p.grad is not None], elapsed)
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        step += 1
        now = time.monotonic()
        elapsed += now - last
        last = now
        logs.append([row_loss.item(), class_loss.item(), open_loss.item(), spread.item(), place_loss.item()])
        if step % 100 == 0 and rank_ == 0:
            mean = np.mean(logs, 0)
            logs = []
            values = flat.detach()
            print(f"step {step} {elapsed / 60:.1f} min lr {rate:.1e} row {mean[0]:.3f} class {mean[1]:.3f} open {mean[2]:.3f} "
                  f"spread {mean[3]:.4f} places {mean[4]:.3f} zeros {(values == 0).float().mean():.2f} mean {values.mean():.2f} max {values.max():.1f} "
                  f"rank99 {rank(values.cpu().numpy())}", flush=True)
        if step % 100 == 0:
            data.scan()
        if now - saved > 120 and rank_ == 0:
            save()
            saved = now
    if rank_ == 0:
        save()
        fit_head(encoder, readout)
        save()
        report(encoder, readout, arguments.human)


if __name__ == "__main__":
    main()
