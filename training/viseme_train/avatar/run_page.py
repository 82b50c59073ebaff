"""The page of a training: curves and a grid of held-out frames, in one HTML file that loads itself anew."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from viseme_train import checkpoint

#: Keys of the history, colour, the bar that is drawn dotted, and the curve's range.
CURVES = (("opening_r", "#c0392b", "opening r", 0.0, 1.0), ("width_r", "#2980b9", "width r", 0.0, 1.0), ("wrong_sound_r", "#7f8c8d", "wrong sound r", 0.0, 1.0),
          ("texture_ratio", "#27ae60", "texture ratio", 0.0, 1.0), ("spread_ratio", "#8e44ad", "spread ratio", 0.0, 1.0))
WIDTH, HEIGHT = 900, 220
STYLE = "body{font:16px/1.5 system-ui,sans-serif;max-width:1300px;margin:1em auto;padding:0 1em}img{width:100%}svg{width:900px;background:#f6f6f6}td{padding-right:1em}"


def _curve(rows: Sequence[dict[str, float]], key: str, colour: str, low: float, high: float) -> str:
    longest = max(1e-6, rows[-1]["minutes"])
    points = " ".join(f"{r['minutes'] / longest * WIDTH:.1f},{HEIGHT * (1 - min(1.0, max(0.0, (r[key] - low) / (high - low)))):.1f}" for r in rows if np.isfinite(r[key]))
    return f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>'


def write_page(path: Path, rows: Sequence[dict[str, float]], grid: np.ndarray, over: bool) -> None:
    done, data = cv2.imencode(".jpg", grid, [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert done
    curves = "".join(_curve(rows, key, colour, low, high) for key, colour, _, low, high in CURVES)
    levels = [r["psnr"] for r in rows] + [rows[-1]["copy_psnr"]]
    copy = HEIGHT * (1 - (rows[-1]["copy_psnr"] - min(levels)) / max(1e-6, max(levels) - min(levels)))
    sharp = _curve(rows, "psnr", "#222", min(levels), max(levels) + 1e-6)
    key = " ".join(f'<span style="color:{colour}">■ {html.escape(name)}</span>' for _, colour, name, _, _ in CURVES)
    last = "".join(f"<tr><td>{html.escape(k.replace('_', ' '))}</td><td>{v:.3g}</td></tr>" for k, v in rows[-1].items())
    refresh = "" if over else '<meta http-equiv="refresh" content="20">'
    checkpoint.save_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8">{refresh}<title>Training</title>'
        f"<style>{STYLE}</style>"
        f"<h1>{'Training, finished' if over else 'Training'}: {rows[-1]['minutes']:.0f} minutes</h1><p>Held-out frames, from the top: truth, drawn, closed mouth, wrong sound.</p>"
        f'<img alt="held-out frames" src="data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}">'
        f'<p>{key}: 0 below, 1 above, over {rows[-1]["minutes"]:.0f} minutes</p><svg viewBox="0 0 {WIDTH} {HEIGHT}">{curves}</svg>'
        f'<p>PSNR inside the mask, {min(levels):.1f} … {max(levels):.1f} dB; dotted: the best copy of a training frame</p><svg viewBox="0 0 {WIDTH} {HEIGHT}">{sharp}'
        f'<line x1="0" x2="{WIDTH}" y1="{copy:.1f}" y2="{copy:.1f}" stroke="#c0392b" stroke-dasharray="4"/></svg><table>{last}</table></html>\n', path)
