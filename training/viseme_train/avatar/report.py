"""The report of `prepare`: one HTML file that needs no network, in plain words."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from viseme_train import checkpoint
from viseme_train.avatar import judge, scan
from viseme_train.avatar.judge import Verdict
from viseme_train.avatar.progress import length
from viseme_train.avatar.settings import PrepareSettings
from viseme_train.avatar.video import FPS

if TYPE_CHECKING:
    from viseme_train.avatar.prepare import Work

#: Pictures of a contact sheet, their height, and the width of the timelines.
PICTURES, SMALL, TIMELINE = 24, 150, 1000
COLOURS = {judge.NO_FACE: "#444", judge.SECOND_FACE: "#8e44ad", judge.TURNED: "#2980b9", judge.COVERED: "#d35400", judge.BLURRED: "#16a085",
           judge.CUT: "#c0392b", judge.OUTSIDE: "#7f8c8d", judge.SIZE: "#b7950b", judge.STANDING: "#e84393", judge.LIGHT: "#f1c40f"}
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:1040px;margin:2em auto;padding:0 1em;color:#222}
h1,h2{line-height:1.2}.sheet img{margin:2px;border:3px solid #2a8}.sheet img.bad{border-color:#c33}
.no{background:#fde8e6;border-left:6px solid #c33;padding:.6em 1em}.yes{background:#e6f6ee;border-left:6px solid #2a8;padding:.6em 1em}
table{border-collapse:collapse}td{padding:.15em 1em .15em 0;vertical-align:top}svg{display:block;width:100%}.key span{display:inline-block;margin-right:1em}
.key i{display:inline-block;width:.8em;height:.8em;margin-right:.3em}figure{display:inline-block;margin:0;font-size:12px;text-align:center}"""


def small(image: np.ndarray) -> np.ndarray:
    """A picture of the contact sheet's height; at most twice as wide."""
    width = min(2 * SMALL, round(image.shape[1] * SMALL / image.shape[0]))
    picture: np.ndarray = cv2.resize(image, (width, SMALL), interpolation=cv2.INTER_AREA)
    return picture


def _image(picture: np.ndarray, bad: bool, caption: str) -> str:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert done
    kind = ' class="bad"' if bad else ""
    return f'<figure><img{kind} alt="" src="data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"><br>{html.escape(caption)}</figure>'


def _words(mark: int) -> str:
    return ", ".join(words for bit, words in judge.WORDS.items() if mark & bit)


def _clock(frame: int) -> str:
    return f"{frame // FPS // 60}:{frame // FPS % 60:02d}"


def _sheet(w: Work, verdict: Verdict, crop: tuple[int, int]) -> str:
    """Frames from all over the clip with their crop, bad ones of each kind among them."""
    count = len(verdict.marks)
    chosen = set(np.linspace(0, count - 1, min(PICTURES, count)).round().astype(int).tolist())
    for bit in judge.WORDS:
        with_bit = np.flatnonzero(verdict.marks & bit)
        chosen |= set(with_bit[:: max(1, len(with_bit) // 2)][:2].tolist())
    out = []
    for k, image in scan.frames(w.folder, lambda k: k in chosen):
        mark = int(verdict.marks[k])
        picture = image.copy()
        if w.boxes is not None:
            x, y = (int(v) for v in w.boxes[k])
            line = max(1, round(image.shape[0] / SMALL))
            cv2.rectangle(picture, (x, y), (x + crop[0], y + crop[1]), (60, 200, 90) if not mark else (60, 60, 220), line)
        out.append(_image(small(picture), mark != 0, f"{_clock(k)} {_words(mark)}"))
    return f'<div class="sheet">{"".join(out)}</div>'


def _line(values: np.ndarray, low: float, high: float, top: float, height: float) -> str:
    """A curve as SVG points: the most of each column, so that nothing short is lost."""
    columns = min(TIMELINE, len(values))
    edges = np.linspace(0, len(values), columns + 1).astype(int)
    peaks = np.array([values[a:max(b, a + 1)].max() for a, b in zip(edges, edges[1:])])
    y = top + height * (1 - np.clip((peaks - low) / max(high - low, 1e-9), 0, 1))
    return " ".join(f"{i * TIMELINE / columns:.1f},{v:.1f}" for i, v in enumerate(y))


def _timeline(verdict: Verdict) -> str:
    """Left-out frames, opening of the mouth, loudness, closed stretches, jumps of the light."""
    count = max(1, len(verdict.marks))
    at = lambda frame: frame * TIMELINE / count
    parts = []
    for bit, colour in COLOURS.items():
        for first, n in judge.runs((verdict.marks & bit) != 0):
            parts.append(f'<rect x="{at(first):.1f}" y="0" width="{max(1.5, at(n)):.1f}" height="26" fill="{colour}"><title>{judge.WORDS[bit]} {_clock(first)}</title></rect>')
    for first, n in verdict.closed:
        parts.append(f'<rect x="{at(first):.1f}" y="30" width="{at(n):.1f}" height="60" fill="#dff0ff"/>')
    for k in verdict.lights:
        parts.append(f'<line x1="{at(k):.1f}" x2="{at(k):.1f}" y1="0" y2="160" stroke="#f1c40f" stroke-width="3"/>')
    highest = max(0.05, float(np.percentile(verdict.aperture, 99))) if len(verdict.aperture) else 1
    parts.append(f'<polyline fill="none" stroke="#c0392b" points="{_line(verdict.aperture, 0, highest, 30, 60)}"/>')
    parts.append(f'<polyline fill="none" stroke="#2980b9" points="{_line(verdict.loudness, -70, 0, 96, 60)}"/>')
    return (f'<svg viewBox="0 0 {TIMELINE} 160" role="img" aria-label="timeline"><rect width="{TIMELINE}" height="26" fill="#e6f6ee"/>{"".join(parts)}</svg>'
            '<p class="key">Top: frames that are left out. Red: how far the mouth opens; light blue: closed for a second or more. Blue: loudness. '
            'Yellow: the light on the face changes.</p>')


def _table(rows: Sequence[tuple[str, str]]) -> str:
    return "<table>" + "".join(f"<tr><td>{html.escape(a)}</td><td>{html.escape(b)}</td></tr>" for a, b in rows) + "</table>"


def _clip(w: Work, crop: tuple[int, int], settings: PrepareSettings) -> str:
    out = [f"<h2>{html.escape(w.name)}</h2>"]
    if w.refusals:
        out.append('<div class="no"><b>Not used.</b> ' + " ".join(html.escape(r) for r in w.refusals) + "</div>")
    rows: list[tuple[str, str]] = []
    if f := w.facts:
        turned = f", turned by {f.rotation}°" if f.rotation else ""
        kind = ", high dynamic range (converted)" if f.hdr else ""
        rows.append(("The file", f"{f.width}×{f.height}, {f.rate:.4g} pictures a second, {length(f.seconds)}, {f.codec}{turned}{kind}{', interlaced' if f.interlaced else ''}"))
    if v := w.verdict:
        good, count = int(v.good.sum()), len(v.marks)
        rows += [("Used", f"{good} of {count} frames ({good / max(1, count) * 100:.0f} %) at {w.size[0]}×{w.size[1]}; {(v.good & v.speaking).sum() / FPS:.1f} s of speech"),
                 ("Left out", "; ".join(f"{int(((v.marks & bit) != 0).sum())} {words}" for bit, words in judge.WORDS.items() if (v.marks & bit).any()) or "nothing"),
                 ("Sound and picture", _offset(v, settings)),
                 ("Voice", f"{v.level:.0f} dB, noise {v.noise:.0f} dB; silence: {v.ends[0]:.1f} s at the beginning, {v.ends[1]:.1f} s at the end"),
                 ("Closed mouth", "; ".join(f"{_clock(a)} for {n / FPS:.1f} s" for a, n in v.closed) or "never for a second"),
                 ("Light changes", ", ".join(_clock(k) for k in v.lights) or "none"), ("Cuts", ", ".join(_clock(k) for k in v.cuts) or "none")]
        out.append(_table(rows))
        if v.advice:
            out.append("<h3>For a better recording</h3><ul>" + "".join(f"<li>{html.escape(a)}</li>" for a in v.advice) + "</ul>")
        out += [_timeline(v), '<p class="key">' + "".join(f'<span><i style="background:{COLOURS[b]}"></i>{words}</span>' for b, words in judge.WORDS.items()) + "</p>",
                _sheet(w, v, crop)]
    else:
        out.append(_table(rows))
        if w.looks is not None:
            out.append('<div class="sheet">' + "".join(_image(picture, True, "") for picture in w.looks) + "</div>")
    return "".join(out)


def _offset(v: Verdict, settings: PrepareSettings) -> str:
    follow = f"the mouth follows the sound with r {v.follow.r:.2f} (chance {v.follow.chance:.2f})"
    if v.corrected:
        which = "delayed" if v.corrected > 0 else "moved forward"
        return f"the sound was {which} by {abs(v.corrected) * 1000:.0f} ms, now {follow}"
    return f"{follow}, shift {v.follow.seconds * 1000:+.0f} ms: below {settings.offset * 1000:.0f} ms nothing is corrected"


def write(path: Path, works: Sequence[Work], crop: tuple[int, int], refused: str, settings: PrepareSettings) -> None:
    if refused:
        head = f'<div class="no"><b>This cannot become an avatar yet.</b> {html.escape(refused)} What to change is said below.</div>'
    else:
        head = (f'<div class="yes"><b>This is enough to begin with.</b> The mouth is drawn in a rectangle of {crop[0]}×{crop[1]} pixels (green). '
                "Frames with a red border are left out.</div>")
    if more := judge.more_material([w.verdict for w in works if w.verdict and not w.refusals]):
        head += "<ul>" + "".join(f"<li>{html.escape(m)}</li>" for m in more) + "</ul>"
    body = "".join(_clip(w, crop, settings) for w in works)
    page = (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Recording report</title><style>{STYLE}</style>'
            f"<h1>Recording report</h1>{head}{body}</html>\n")
    checkpoint.save_text(page, path)
