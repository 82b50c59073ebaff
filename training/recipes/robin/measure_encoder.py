"""Fits a small head to the rows of the trained audio encoder and prints what it reads from held-out speech.

    python measure_encoder.py [--human CLIP.wav] [--keep]

The head sees the 16-row feature window, as the generator does: it measures what the rows tell, and is not shipped.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import dataset
from viseme_train import checkpoint, config, corpus, metrics
from viseme_train import mouth as mouth_model
from viseme_train.synctalk2d import audio_encoder
from viseme_train.synctalk2d.readout import Readout, fit_head, measure, predict


def main() -> None:
    parser = config.parser(__doc__, dataset.SETTINGS)
    parser.add_argument("--human", type=Path, help="a 16 kHz mono recording of a person to check, too")
    parser.add_argument("--keep", action="store_true", help="measure with the head that was fitted last")
    arguments = parser.parse_args()
    settings = config.chosen(arguments)
    encoder, readout = audio_encoder.load(settings.encoder_checkpoint), Readout()
    head = settings.work / "readout.pth"
    if arguments.keep:
        readout.load_state_dict(checkpoint.load(head))
    else:
        print(f"head: loss {fit_head(encoder, readout, settings, torch.device('cpu')):.3f}", flush=True)
        checkpoint.save(readout.state_dict(), head)
    readout.eval()

    unseen = corpus.load(settings.work, "heldout_sentence")
    voices = corpus.load(settings.work, "heldout_voice")
    natural = [u for u in unseen if u.natural]
    rms = [u for u in voices if u.voice == "rms" and u.unseen_text]
    other = [u for u in voices if u.voice != "rms"]
    for name, items, snr in (("unseen sentences", unseen[::3], None), ("natural, unseen sentences", natural[::2], None), ("rms", rms, None),
                             ("rms 15 dB", rms, 15), ("natural 15 dB", natural[::3], 15), ("ked and f4", other[::2], None)):
        found = measure(items, encoder, readout, snr)
        print(f"{name:26s}", " ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in found.items()), flush=True)

    aperture = lambda wave: mouth_model.aperture(predict(wave, encoder, readout)[0])
    noise = np.random.default_rng(1).standard_normal(320000) * 1e-3
    print(f"largest aperture: silence {aperture(np.zeros(80000)).max():.3f}, noise -60 dB {aperture(noise).max():.3f}", flush=True)
    if arguments.human:
        import soundfile

        wave, rate = soundfile.read(arguments.human)
        if rate != 16000 or wave.ndim != 1:
            raise SystemExit(f"{arguments.human}: {rate} Hz, shape {wave.shape}; a 16 kHz mono recording is wanted")
        tracks = {gain: aperture(wave * gain) for gain in (1.0, 0.3, 0.1)}
        found = metrics.recording(wave, tracks[1.0]) | {f"gain {g}": metrics.correlation(tracks[g], tracks[1.0]) for g in (0.3, 0.1)}
        print("human", {k: round(v, 3) for k, v in found.items()}, flush=True)


if __name__ == "__main__":
    main()
