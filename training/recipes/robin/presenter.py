"""Robin, the drawn presenter: head and shoulders, vector art, rasterised with skia.

Everything is drawn by this file; no picture of a real person was used. The mouth is driven by seven
parameters (`mouth.MOUTH`), the head by a `Pose`. Because we draw the mouth we also know the truth: the
functions `aperture`, `width` and `rounding` measure it back from pixels.

    render(pose, mouth)         (720, 1280, 3) uint8 BGR, the whole frame
    render_square(pose, mouth)  the crop square only, same pixels, several times faster
    landmarks(pose)             (110, 2) float32 in frame pixels, independent of the mouth
    square(pose)                (x1, y1, x2, y2), ends exclusive

Head space: x to the right, y down, one unit is one frame pixel at scale 1, origin between the eyes'
lower lids and the nose bridge.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import skia

WIDTH, HEIGHT, FPS = 1280, 720, 25
LOOP_FRAMES = 325                     # 13 s of silent presence
HEAD = (640.0, 306.0)                 # head origin in the frame
PIVOT = (0.0, 250.0)                  # the head turns about the top of the spine
MOUTH_Y = 139.0                       # the lip line, head space
REST = (0.0,) * 7                     # jaw, width, round, close, tuck, teeth, tongue


@dataclass(frozen=True)
class Pose:
    dx: float = 0.0
    dy: float = 0.0
    tilt: float = 0.0                 # degrees
    scale: float = 1.0
    yaw: float = 0.0                  # -1 … 1, parallax of the features
    pitch: float = 0.0                # -1 … 1
    blink: float = 0.0                # 0 open … 1 shut
    gaze: float = 0.0                 # -1 … 1
    brow: float = 0.0                 # -1 … 1
    breath: float = 0.0               # -1 … 1


def template_pose(k: int, n: int = LOOP_FRAMES) -> Pose:
    """The silent loop. Still at both ends, so that ping-pong playback has no jerk."""
    u = k / (n - 1)
    lambda cycles, phase=0.0: math.sin(2 * math.pi * (cycles * u + phase))
    c = lambda cycles: math.cos(math.pi * cycles * u)          # zero speed at u = 0 and 1
    t = k / FPS
    blink = 0.0
    for at in (1.5, 4.7, 5.15, 8.6, 11.4):
        d = t - at
        if -0.10 < d < 0.20:
            blink = max(blink, 1.0 if 0 <= d <= 0.04 else (1 + d / 0.10 if d < 0 else 1 - (d - 0.04) / 0.16))
    gaze = 0.55 * (_step(t, 3.0) - _step(t, 4.72)) - 0.45 * (_step(t, 8.62) - _step(t, 10.2))
    return Pose(dx=5.0 * c(2) + 2.5 * c(5), dy=2.2 * c(4) + 1.2 * c(7), tilt=1.5 * c(3) + 0.5 * c(7),
                scale=1.0 + 0.006 * c(2) + 0.002 * c(6), yaw=0.36 * c(2) + 0.16 * c(5), pitch=0.35 * c(3) - 0.2 * c(6),
                blink=_smooth(blink), gaze=gaze, brow=0.25 * c(3) + 0.3 * _bump(t, 6.6, 0.9), breath=c(8))


def _smooth(x: float) -> float:
    x = min(1.0, max(0.0, x))
    return x * x * (3 - 2 * x)


def _step(t: float, at: float) -> float:
    return _smooth((t - at) / 0.12)


def _bump(t: float, at: float, half: float) -> float:
    return _smooth(1 - abs(t - at) / half)


# ---------------------------------------------------------------- skia shorthand

def rgb(r, g, b, a=1.0):
    return skia.Color(int(r), int(g), int(b), int(round(255 * a)))


def mix(a, b, t):
    return tuple(x + (y - x) * t for x, y in zip(a, b))


def fill(color=None, shader=None, blur=0.0, alpha=1.0):
    p = skia.Paint(AntiAlias=True)
    if color is not None:
        p.setColor(rgb(*color, alpha))
    if shader is not None:
        p.setShader(shader)
        p.setAlphaf(alpha)
    if blur > 0:
        p.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur))
    return p


def stroke(color, width, alpha=1.0, blur=0.0):
    p = fill(color, blur=blur, alpha=alpha)
    p.setStyle(skia.Paint.kStroke_Style)
    p.setStrokeWidth(width)
    p.setStrokeCap(skia.Paint.kRound_Cap)
    p.setStrokeJoin(skia.Paint.kRound_Join)
    return p


def linear(x0, y0, x1, y1, colors, stops=None):
    return skia.GradientShader.MakeLinear([skia.Point(x0, y0), skia.Point(x1, y1)], [rgb(*c) for c in colors], stops)


def radial(x, y, r, colors, stops=None):
    return skia.GradientShader.MakeRadial(skia.Point(x, y), r, [rgb(*c) for c in colors], stops)


def spline(points, closed=True, tension=0.5):
    """Catmull-Rom through the points, as cubics."""
    pts = [np.asarray(p, float) for p in points]
    n = len(pts)
    path = skia.Path()
    path.moveTo(*pts[0])
    for i in range(n if closed else n - 1):
        p0 = pts[(i - 1) % n] if closed or i > 0 else pts[0]
        p1, p2 = pts[i % n], pts[(i + 1) % n]
        p3 = pts[(i + 2) % n] if closed or i + 2 < n else pts[-1]
        a = p1 + (p2 - p0) * tension / 3
        b = p2 - (p3 - p1) * tension / 3
        path.cubicTo(*a, *b, *p2)
    if closed:
        path.close()
    return path


def curve(*p):
    """Move to p0, then cubics from the rest."""
    path = skia.Path()
    path.moveTo(*p[0])
    for i in range(1, len(p), 3):
        path.cubicTo(*p[i], *p[i + 1], *p[i + 2])
    return path


def oval(x, y, rx, ry):
    path = skia.Path()
    path.addOval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry))
    return path


# ---------------------------------------------------------------- palette (RGB)

SKIN, SKIN_LIGHT, SKIN_SHADE, SKIN_DEEP = (236, 182, 150), (250, 208, 178), (206, 142, 114), (160, 96, 80)
HAIR, HAIR_LIGHT, HAIR_DARK = (74, 42, 38), (150, 88, 58), (38, 22, 26)
LIP_UP, LIP_LOW, LIP_LINE = (184, 80, 82), (208, 100, 98), (130, 48, 55)
KNIT, KNIT_LIGHT, KNIT_DARK = (206, 82, 44), (238, 122, 72), (132, 42, 34)
RIM = (150, 226, 232)


# ---------------------------------------------------------------- geometry

# Half contour of the face: (x, y, how much of the jaw drop the point follows)
CONTOUR = [(166, -74, 0), (167.5, -40, 0), (166, 0, 0), (161, 44, 0.02), (152, 88, 0.10), (138, 128, 0.26), (117, 164, 0.5), (90, 194, 0.78),
           (60, 214, 0.94), (30, 224, 1.0)]


def shape_of(mouth) -> dict:
    """Lip geometry from the seven parameters, relative to the lip line's centre."""
    jaw, width, rnd, close, tuck, teeth, tongue = (float(v) for v in mouth)
    jaw, rnd, close, tuck = (min(1.0, max(0.0, v)) for v in (jaw, rnd, close, tuck))
    teeth, tongue, width = min(1.0, max(0.0, teeth)), min(1.0, max(0.0, tongue)), min(1.0, max(-1.0, width))
    gap = 56.0 * jaw + 7.0 * teeth * (1 - jaw) + 5.0 * tongue * (1 - jaw) + 7.0 * rnd * (1 - jaw)
    gap *= (1 - close) * (1 - 0.75 * tuck)
    gap = max(0.0, gap - 2.2)                                       # lips are soft: they part a little late
    w = 55.0 + 13.0 * width * (1 - 0.6 * rnd) - 19.0 * rnd - 0.05 * gap - 2.0 * close * (1 - rnd)
    up = (0.20 + 0.10 * rnd) * gap + 6.0 * tuck * (1 - close)
    low = gap + 9.0 * tuck * (1 - close) - up
    hu = 15.5 * (1 + 0.06 * rnd - 0.08 * width) * (1 - 0.36 * close) * (1 - 0.12 * min(1, gap / 40))
    hl = 20.5 * (1 + 0.24 * rnd - 0.08 * width) * (1 - 0.34 * close) * (1 - 0.5 * tuck) * (1 - 0.10 * min(1, gap / 40))
    drop = 33.0 * jaw * (1 - 0.55 * close) + 2.0 * teeth - 3.0 * tuck - 2.0 * close
    corner = -5.5 - 3.0 * max(0.0, width) + 1.5 * rnd + 0.10 * gap
    wi = w * (0.93 - 0.13 * rnd)
    return dict(gap=gap, w=w, wi=wi, up=up, low=low, hu=hu, hl=hl, drop=drop, corner=corner, rnd=rnd, width=width, tuck=tuck,
                teeth=teeth, tongue=tongue, close=close, jaw=jaw)


def face_points(drop: float):
    right = [(x * (1 - 0.012 * f * drop / 33), y + f * drop) for x, y, f in CONTOUR]
    chin = (0, 227 + drop)
    left = [(-x, y) for x, y in reversed(right)]
    top = [(-150, -120), (-112, -168), (-60, -196), (0, -204), (60, -196), (112, -168), (150, -120)]
    return right + [chin] + left + top


def landmarks(pose: Pose) -> np.ndarray:
    """110 points of the face at rest. 0–32 contour (image left to right), 52 on the nose ridge, 90–109 mouth."""
    pts = np.asarray(face_points(0.0)[:21][::-1], float)              # left ear … chin … right ear
    seg = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(pts, axis=0).T))])
    inner = seg[1] + (seg[-2] - seg[1]) * np.linspace(0, 1, 31)       # points 1 … 31
    line = np.stack([np.interp(inner, seg, pts[:, 0]), np.interp(inner, seg, pts[:, 1])], 1)
    contour = np.concatenate([pts[:1], line, pts[-1:]])
    brow = [(s * (40 + 14 * i), -72 - 8 * math.sin(i / 4 * math.pi)) for s in (-1, 1) for i in range(9)]
    ridge = [(0, y) for y in (-14, 15, 42, 66)]                       # 51 … 54
    nose = [(x, 92 - 0.02 * x * x) for x in (-24, -12, 0, 12, 24)]
    eyes = [(s * 68 + 34 * math.cos(a), -24 + 17 * math.sin(a)) for s in (-1, 1) for a in np.linspace(0, 2 * math.pi, 12, endpoint=False)]
    rest = [(s * 68, -24) for s in (-1, 1)] + [(0, 108), (0, 116), (-80, 60), (80, 60)]
    g = shape_of(REST)
    mouth = [(g["w"] * math.cos(a), MOUTH_Y + (g["hl"] if math.sin(a) > 0 else g["hu"]) * math.sin(a))
             for a in np.linspace(0, 2 * math.pi, 20, endpoint=False)]
    pts = np.asarray(list(contour) + brow + ridge + nose + eyes + rest, float)
    pts = np.concatenate([pts, np.zeros((90 - len(pts), 2)), np.asarray(mouth)])
    m = matrix(pose)
    x, y = pts.T
    xs = m.getScaleX() * x + m.getSkewX() * y + m.getTranslateX()
    ys = m.getSkewY() * x + m.getScaleY() * y + m.getTranslateY()
    return np.stack([xs, ys], 1).astype(np.float32)


def matrix(pose: Pose) -> skia.Matrix:
    m = skia.Matrix()
    m.setTranslate(HEAD[0] + pose.dx, HEAD[1] + pose.dy)
    m.preRotate(pose.tilt, *PIVOT)
    m.preScale(pose.scale, pose.scale, *PIVOT)
    return m


def square(pose: Pose):
    p = landmarks(pose)
    x1, y1, x2 = int(p[1, 0]), int(p[52, 1]), int(p[31, 0])
    return x1, y1, x2, y1 + (x2 - x1)


# ---------------------------------------------------------------- drawing

def _background(c):
    c.drawRect(skia.Rect.MakeWH(WIDTH, HEIGHT), fill(shader=linear(0, 0, WIDTH, HEIGHT, [(27, 74, 84), (20, 54, 68), (16, 34, 50)])))
    c.drawRect(skia.Rect.MakeWH(WIDTH, HEIGHT), fill(shader=skia.GradientShader.MakeRadial(
        skia.Point(330, 240), 560, [rgb(120, 190, 178, .75), rgb(70, 140, 144, .32), rgb(20, 54, 68, 0)])))
    # a window far out of focus, a shelf, a lamp
    for x, y, w, h, a in [(86, 58, 132, 190, .30), (232, 58, 132, 190, .34), (86, 262, 132, 150, .22), (232, 262, 132, 150, .26)]:
        c.drawRoundRect(skia.Rect.MakeXYWH(x, y, w, h), 10, 10, fill((232, 246, 226), blur=15, alpha=a))
    c.drawRoundRect(skia.Rect.MakeXYWH(905, 318, 420, 16), 6, 6, fill((9, 22, 32), blur=8, alpha=.75))
    books = [((196, 96, 62), 30, 120), ((222, 182, 120), 24, 104), ((62, 120, 124), 36, 132), ((232, 214, 190), 22, 96), ((122, 62, 60), 30, 118)]
    x = 960
    for col, w, h in books:
        c.drawRoundRect(skia.Rect.MakeXYWH(x, 318 - h, w, h), 3, 3, fill(mix(col, (18, 44, 58), .45), blur=7))
        x += w + 5
    c.drawCircle(1190, 240, 118, fill((255, 196, 120), blur=48, alpha=.34))
    c.drawCircle(1190, 262, 42, fill((255, 222, 164), blur=11, alpha=.85))
    c.drawRect(skia.Rect.MakeXYWH(1172, 296, 36, 24), fill((60, 44, 44), blur=5))
    for x, y, r, col, a in [(470, 110, 26, (190, 236, 214), .16), (905, 520, 40, (255, 190, 130), .13), (1010, 470, 22, (255, 214, 160), .15),
                            (1110, 560, 54, (110, 190, 196), .10), (820, 90, 34, (150, 220, 216), .11), (400, 520, 46, (150, 220, 200), .09)]:
        c.drawCircle(x, y, r, fill(col, blur=3, alpha=a))
    # a plant, left, nearer
    for ang, ln, wd, col in [(-150, 250, 34, (22, 78, 66)), (-124, 300, 38, (30, 98, 78)), (-98, 330, 36, (24, 84, 70)), (-70, 300, 38, (38, 112, 84)),
                             (-44, 240, 34, (26, 86, 72)), (-110, 220, 30, (48, 128, 92)), (-82, 230, 30, (44, 120, 90))]:
        c.save()
        c.translate(120, 760)
        c.rotate(ang)
        leaf = curve((0, 0), (ln * .3, -wd), (ln * .8, -wd * .8), (ln, 0), (ln * .8, wd * .8), (ln * .3, wd), (0, 0))
        c.drawPath(leaf, fill(shader=linear(0, -wd, 0, wd, [mix(col, (170, 230, 190), .25), col, mix(col, (0, 20, 20), .4)]), blur=5))
        c.restore()
    c.drawRect(skia.Rect.MakeWH(WIDTH, HEIGHT), fill(shader=skia.GradientShader.MakeRadial(
        skia.Point(640, 330), 820, [rgb(0, 0, 0, 0), rgb(2, 8, 16, .12), rgb(2, 8, 16, .62)], [0, .55, 1])))


@lru_cache(1)
def background():
    s = skia.Surface(WIDTH, HEIGHT)
    _background(s.getCanvas())
    return s.makeImageSnapshot()


def _body(c, pose):
    b = pose.breath
    c.save()
    c.translate(640 + 0.35 * pose.dx, 720 - 2.2 * b)
    c.scale(1 + 0.003 * b, 1 + 0.004 * b)
    torso = curve((-420, 20), (-410, -60), (-352, -98), (-240, -124), (-170, -140), (-118, -150), (-92, -176), (-60, -150), (60, -150), (92, -176),
                  (118, -150), (170, -140), (240, -124), (352, -98), (410, -60), (420, 20))
    torso.close()
    c.drawPath(torso, fill((4, 12, 20), blur=26, alpha=.5))
    c.drawPath(torso, fill(shader=linear(-330, -120, 340, 40, [KNIT_LIGHT, KNIT, mix(KNIT, KNIT_DARK, .55), KNIT_DARK], [0, .35, .75, 1])))
    c.save()
    c.clipPath(torso, doAntiAlias=True)
    for i in range(-24, 25):                                        # knit ribs
        x = i * 17
        rib = curve((x * .55, -190), (x * .8, -120), (x * 1.02, -60), (x * 1.08, 30))
        c.drawPath(rib, stroke(KNIT_DARK, 2.2, .16, 1.2))
        c.drawPath(curve((x * .55 + 4, -190), (x * .8 + 5, -120), (x * 1.02 + 6, -60), (x * 1.08 + 6, 30)), stroke((255, 170, 120), 1.6, .10, .8))
    c.drawPath(curve((-150, -150), (-210, -90), (-250, -30), (-258, 40)), stroke(KNIT_DARK, 16, .30, 12))
    c.drawPath(curve((150, -150), (214, -90), (254, -30), (262, 40)), stroke((70, 18, 20), 18, .38, 12))
    c.drawPath(curve((240, -124), (352, -98), (410, -60), (420, 20)), stroke(RIM, 9, .55, 5))
    c.drawOval(skia.Rect.MakeLTRB(-200, -230, 200, -96), fill((66, 16, 18), blur=26, alpha=.45))
    c.restore()
    c.restore()


def _neck(c, pose):
    nx, ny = 640 + 0.65 * pose.dx, HEAD[1] + 0.5 * pose.dy
    c.save()
    c.translate(nx, ny)
    neck = curve((-86, 120), (-84, 200), (-82, 250), (-92, 300), (-60, 330), (60, 330), (92, 300), (82, 250), (84, 200), (86, 120))
    neck.close()
    c.drawPath(neck, fill(shader=linear(-90, 0, 92, 0, [mix(SKIN, SKIN_SHADE, .35), mix(SKIN, SKIN_SHADE, .55), mix(SKIN_SHADE, SKIN_DEEP, .75)], [0, .45, 1])))
    c.save()
    c.clipPath(neck, doAntiAlias=True)
    c.drawPath(curve((-40, 246), (-34, 276), (-22, 296), (-10, 312)), stroke(SKIN_DEEP, 7, .30, 5))
    c.drawPath(curve((44, 246), (36, 276), (24, 296), (10, 312)), stroke(SKIN_DEEP, 8, .34, 5))
    c.drawPath(curve((84, 210), (82, 250), (82, 250), (92, 300)), stroke(RIM, 4, .35, 3))
    c.restore()
    c.restore()


def _collar(c, pose):
    b = pose.breath
    c.save()
    c.translate(640 + 0.5 * pose.dx, 720 - 1.9 * b)
    top = -128
    collar = curve((-102, top - 6), (-70, top + 26), (70, top + 26), (102, top - 6), (112, top + 34), (116, top + 52), (122, top + 70),
                   (80, top + 112), (-80, top + 112), (-122, top + 70), (-116, top + 52), (-112, top + 34), (-102, top - 6))
    c.drawPath(collar, fill((60, 14, 16), blur=9, alpha=.5))
    c.drawPath(collar, fill(shader=linear(-120, 0, 124, 0, [mix(KNIT_LIGHT, KNIT, .3), KNIT_LIGHT, KNIT, mix(KNIT, KNIT_DARK, .8)], [0, .28, .6, 1])))
    c.save()
    c.clipPath(collar, doAntiAlias=True)
    for i in range(-11, 12):
        x = i * 10.5
        sag = 24 * (1 - (x / 110) ** 2)
        c.drawPath(curve((x, top - 10 + sag), (x * 1.04, top + 20 + sag), (x * 1.08, top + 50 + sag), (x * 1.1, top + 96 + sag)), stroke(KNIT_DARK, 2.6, .34, 1))
    c.drawPath(curve((-102, top - 6), (-70, top + 26), (70, top + 26), (102, top - 6)), stroke((255, 196, 150), 4, .45, 1.6))
    c.drawPath(curve((-122, top + 70), (-80, top + 112), (80, top + 112), (122, top + 70)), stroke((70, 18, 20), 14, .5, 7))
    c.drawPath(curve((102, top - 6), (112, top + 34), (116, top + 52), (122, top + 70)), stroke(RIM, 5, .5, 3))
    c.restore()
    c.restore()


def _hair_back(c, par):
    c.save()
    c.translate(-6 * par[0], -3 * par[1])
    back = spline([(0, -276), (96, -258), (172, -200), (206, -110), (212, -10), (216, 84), (206, 160), (178, 214), (132, 226), (100, 196), (0, 150),
                   (-100, 196), (-136, 228), (-184, 216), (-210, 160), (-217, 84), (-212, -10), (-206, -110), (-172, -200), (-96, -258)])
    c.drawPath(back, fill((4, 8, 14), blur=16, alpha=.5))
    c.drawPath(back, fill(shader=linear(-210, -120, 214, 120, [mix(HAIR, HAIR_LIGHT, .25), HAIR, HAIR_DARK], [0, .4, 1])))
    c.save()
    c.clipPath(back, doAntiAlias=True)
    for s in (-1, 1):
        for i in range(9):
            x = 150 + i * 8.5
            c.drawPath(curve((s * (x - 40), -170 + i * 8), (s * (x + 26), -70), (s * (x + 22), 60), (s * (x - 22 - i), 224)),
                       stroke(HAIR_LIGHT if i % 3 == 0 else HAIR_DARK, 3.2, .30 if s < 0 else .22, 2))
    c.drawPath(curve((172, -200), (206, -110), (214, -10), (216, 84), (208, 150), (190, 206), (150, 228)), stroke(RIM, 10, .45, 5))
    c.restore()
    c.restore()


def _ears(c, par):
    for s in (-1, 1):
        c.save()
        c.translate(-3 * par[0], 0)
        ear = spline([(s * 158, -30), (s * 176, -40), (s * 184, -18), (s * 178, 16), (s * 164, 36), (s * 154, 20)])
        c.drawPath(ear, fill(mix(SKIN, SKIN_SHADE, .35 if s < 0 else .8)))
        c.drawPath(curve((s * 166, -24), (s * 176, -22), (s * 174, 8), (s * 164, 18)), stroke(SKIN_DEEP, 3, .5, 1.6))
        c.restore()


def _face(c, g, par):
    pts = face_points(g["drop"])
    face = spline(pts)
    # shadow of the head on the neck
    c.save()
    c.translate(7, 24)
    c.drawPath(face, fill((92, 40, 36), blur=13, alpha=.62))
    c.restore()
    c.drawPath(face, fill(shader=linear(-170, -60, 176, 60, [SKIN_LIGHT, SKIN, mix(SKIN, SKIN_SHADE, .75), SKIN_SHADE], [0, .42, .82, 1])))
    c.save()
    c.clipPath(face, doAntiAlias=True)
    c.drawPath(face, stroke(SKIN_DEEP, 30, .34, 15))                                   # turning away at the edge
    d = g["drop"]
    c.drawPath(curve((-150, 92), (-118, 176 + d * .6), (-60, 216 + d), (0, 222 + d), (60, 216 + d), (118, 176 + d * .6), (150, 92)),
               stroke(SKIN_DEEP, 20, .34, 12))
    fx, fy = 8 * par[0], 4 * par[1]
    c.drawOval(skia.Rect.MakeLTRB(-128 + fx, -176, 60 + fx, -74), fill((255, 232, 208), blur=28, alpha=.50))   # forehead
    cheek = 4 * max(0.0, g["width"]) - 2 * g["rnd"]
    for s, a in ((-1, .30), (1, .24)):
        c.drawOval(skia.Rect.MakeLTRB(s * 98 - 46 + fx, 30 - cheek + fy, s * 98 + 46 + fx, 92 - cheek + fy), fill((230, 108, 92), blur=22, alpha=a))
        c.drawOval(skia.Rect.MakeLTRB(s * 92 - 30 + fx, 14 - cheek + fy, s * 92 + 30 + fx, 44 - cheek + fy), fill((255, 226, 200), blur=13, alpha=.42 if s < 0 else .25))
    c.drawOval(skia.Rect.MakeLTRB(-26 + fx, 190 + d, 22 + fx, 216 + d), fill((255, 222, 196), blur=10, alpha=.42))   # chin
    # rim light along the far cheek and jaw
    rim = spline([(150, -120)] + list(pts[:8]), closed=False)
    c.drawPath(rim, stroke(RIM, 10, .40, 6))
    c.restore()
    return face


def _nose(c, par):
    c.save()
    c.translate(11 * par[0], 6 * par[1])
    c.drawPath(curve((14, -30), (10, 10), (16, 50), (30, 76)), stroke(SKIN_DEEP, 15, .24, 8))
    c.drawPath(curve((-2, -14), (-4, 14), (-6, 40), (-5, 64)), stroke((255, 236, 214), 9, .40, 7))
    tip = spline([(-34, 80), (-18, 60), (0, 54), (18, 60), (35, 80), (22, 97), (0, 103), (-22, 97)])
    c.drawPath(tip, fill((224, 138, 112), blur=9, alpha=.38))
    c.drawPath(curve((-24, 98), (-10, 112), (12, 112), (28, 98)), stroke(SKIN_DEEP, 9, .36, 5))
    for s in (-1, 1):
        nostril = spline([(s * 9, 93), (s * 17, 88), (s * 25, 92), (s * 19, 97)])
        c.drawPath(nostril, fill((120, 56, 50), blur=1.8, alpha=.8))
        c.drawPath(curve((s * 31, 70), (s * 41, 78), (s * 40, 96), (s * 27, 98)), stroke(SKIN_DEEP, 3.4, .52 if s > 0 else .36, 1.6))
    c.drawOval(skia.Rect.MakeLTRB(-14, 64, 6, 80), fill((255, 240, 224), blur=5.5, alpha=.58))
    c.restore()


def _eye(c, s, pose, par):
    c.save()
    c.translate(s * 68 + 8 * par[0], -26 + 5 * par[1])
    c.scale(1.10, 1.10)
    k = 1 - pose.blink
    tilt = -2.5
    up = 21.0 * k - 3.0 * (1 - k)
    inner, outer = (-s * 34, 5 + tilt * -.6), (s * 36, 0 + tilt)
    def lid(a, b, h):
        return (a[0] * .62 + b[0] * .05, min(a[1], b[1]) - h * 1.26), (b[0] * .66 + a[0] * .02, min(a[1], b[1]) - h * 1.22)
    u1, u2 = lid(inner, outer, up)
    low1, low2 = (outer[0] * .62, 20), (inner[0] * .55, 21)
    shape = curve(inner, u1, u2, outer, low1, low2, inner)
    # socket
    c.drawOval(skia.Rect.MakeLTRB(-46, -40, 46, 16), fill((168, 92, 78), blur=14, alpha=.26 if s < 0 else .36))
    c.drawPath(shape, fill((60, 26, 26), blur=2.4, alpha=.7))
    if k > .02:
        c.drawPath(shape, fill(shader=linear(0, -24, 0, 18, [(206, 200, 200), (250, 247, 242), (240, 228, 222)], [0, .5, 1])))
        c.save()
        c.clipPath(shape, doAntiAlias=True)
        ix, iy = 4.5 * pose.gaze + 2 * par[0], -2.2
        c.drawCircle(ix, iy, 18.6, fill((24, 44, 44), blur=.8))
        c.drawCircle(ix, iy, 17.6, fill(shader=radial(ix, iy + 6, 21, [(146, 206, 176), (70, 142, 128), (26, 72, 76), (14, 36, 42)], [0, .42, .8, 1])))
        for i in range(20):
            a = i * math.pi / 10
            c.drawLine(ix + 8 * math.cos(a), iy + 8 * math.sin(a), ix + 15.5 * math.cos(a), iy + 15.5 * math.sin(a), stroke((210, 240, 200), .8, .22))
        c.drawCircle(ix, iy, 8.0, fill((10, 14, 18), blur=.6))
        c.drawPath(curve(inner, u1, u2, outer), stroke((52, 22, 26), 12, .42, 5))          # the lid's shadow
        c.drawCircle(ix - 6.5, iy - 7, 4.6, fill((255, 255, 255), blur=.5, alpha=.96))
        c.drawCircle(ix + 6.5, iy + 7.5, 2.2, fill((214, 246, 246), blur=.6, alpha=.7))
        c.drawCircle(inner[0] + s * 4, inner[1] + 1, 5, fill((222, 128, 116), blur=2, alpha=.7))
        c.restore()
    # lashes: a tapered upper line with a wing, a faint lower one, the crease
    lash = curve(inner, u1, u2, (outer[0] + s * 7, outer[1] - 5 * k + 1), (u2[0], u2[1] + 6.5), (u1[0], u1[1] + 4.5), inner)
    c.drawPath(lash, fill((36, 18, 22), blur=.5))
    for i, (dx, dy) in enumerate(((8, -5), (6, -7))):
        x = outer[0] - s * i * 6.5
        y = outer[1] - (2.2 + i * 3.4) * k
        c.drawPath(curve((x, y), (x + s * dx * .4, y), (x + s * dx * .9, y + dy * .4), (x + s * dx, y + dy * (.35 + .65 * k))), stroke((36, 18, 22), 2.6, .8, .5))
    c.drawPath(curve(outer, low1, low2, inner), stroke((120, 60, 56), 1.7, .55, .5))
    c.drawPath(curve((inner[0] * .92, inner[1] - 10 - 4 * k), (u1[0], u1[1] - 8 - 2 * k), (u2[0], u2[1] - 8 - 2 * k), (outer[0] * 1.06, outer[1] - 9)),
               stroke((150, 84, 74), 2.2, .55, .9))
    c.drawPath(curve((inner[0] * .7, 22), (-8 * s, 29), (12 * s, 28), (outer[0] * .7, 20)), stroke((170, 98, 84), 3, .26, 2))
    # brow
    c.translate(0, -50 - 5 * pose.brow - 1.5 * pose.blink * -1)
    c.rotate(s * 5)
    brow = curve((-s * 38, 6), (-s * 16, -9), (s * 14, -16), (s * 47, 2), (s * 16, -5), (-s * 12, 3), (-s * 36, 15), (-s * 40, 13), (-s * 40, 9), (-s * 38, 6))
    c.drawPath(brow, fill(shader=linear(-40, 0, 46, 0, [mix(HAIR, HAIR_LIGHT, .15), HAIR] if s < 0 else [HAIR, HAIR_DARK]), blur=1.1, alpha=.94))
    c.restore()


def _folds(c, g, par):
    c.save()
    c.translate(8 * par[0], 4 * par[1])
    a = .20 + .20 * max(0, g["width"]) + .12 * g["jaw"] - .08 * g["rnd"]
    out = g["w"] - 55
    for s in (-1, 1):
        x = s * (72 + .8 * out)
        c.drawPath(curve((s * 41, 82), (s * 54, 92), (x, 106), (x + s * 3, 128 + .3 * g["drop"])), stroke(SKIN_DEEP, 6, a * (1 if s > 0 else .8), 3.6))
        c.drawCircle(s * (g["w"] + 7), MOUTH_Y + g["corner"] + 1, 7, fill(SKIN_DEEP, blur=4.5, alpha=.34 + .2 * max(0, g["width"])))
    c.drawPath(curve((-7, 108), (-8, 114), (-8, 118), (-10, 122 - g["up"])), stroke(SKIN_DEEP, 4, .22, 2))
    c.drawPath(curve((7, 108), (8, 114), (8, 118), (10, 122 - g["up"])), stroke(SKIN_DEEP, 5, .26, 2))
    y = MOUTH_Y + g["low"] + g["hl"]
    c.drawOval(skia.Rect.MakeLTRB(-34 + 8 * g["rnd"], y, 36 - 8 * g["rnd"], y + 14), fill(SKIN_DEEP, blur=6.5, alpha=.42))
    c.restore()


def mouth_paths(g):
    """(outer upper lip, outer lower lip, inner opening); the lip line's centre is the origin."""
    w, wi, up, low, hu, hl, cy = g["w"], g["wi"], g["up"], g["low"], g["hu"], g["hl"], g["corner"]
    k = 0.56 + 0.16 * g["rnd"]
    ti, li = (-up - .25 * cy) / .75, (low - .25 * cy) / .75             # control heights so that the middle is at -up and low
    bow = 11 * (1 - .42 * g["rnd"])
    sh = 14 - 7 * g["rnd"]
    upper = curve((-w, cy), (-w * .74, cy - hu * .35 - up * .5), (-bow - sh, -up - hu - 1), (-bow, -up - hu),
                  (-bow * .5, -up - hu + 1), (-4, -up - hu + 4.2 - 2.2 * g["rnd"]), (0, -up - hu + 4.2 - 2.2 * g["rnd"]),
                  (4, -up - hu + 4.2 - 2.2 * g["rnd"]), (bow * .5, -up - hu + 1), (bow, -up - hu),
                  (bow + sh, -up - hu - 1), (w * .74, cy - hu * .35 - up * .5), (w, cy),
                  (wi * k, ti + 1.5), (-wi * k, ti + 1.5), (-w, cy))
    lo = low + hl
    bc = (lo - .25 * cy) / .75
    lower = curve((-w, cy), (-wi * k, li - 1.5), (wi * k, li - 1.5), (w, cy), (w * .66, bc), (-w * .66, bc), (-w, cy))
    inner = curve((-wi, cy), (-wi * k, ti), (wi * k, ti), (wi, cy), (wi * k, li), (-wi * k, li), (-wi, cy))
    return upper, lower, inner


def _mouth(c, g, par):
    c.save()
    c.translate(8 * par[0], MOUTH_Y + 4 * par[1])
    upper, lower, inner = mouth_paths(g)
    w, wi, up, low, hu, hl, cy, gap = (g[k] for k in ("w", "wi", "up", "low", "hu", "hl", "corner", "gap"))
    c.drawPath(lower, fill(SKIN_DEEP, blur=4, alpha=.35))
    open_ = up + low
    if open_ > 0.01:
        k = 0.56 + 0.16 * g["rnd"]
        ti, li = (-up - .25 * cy) / .75, (low - .25 * cy) / .75
        c.drawPath(curve((-w, cy), (-wi * k, ti), (wi * k, ti), (w, cy), (wi * k, li), (-wi * k, li), (-w, cy)), fill(mix(LIP_LINE, (50, 14, 20), .4), blur=.8))
        c.save()
        c.clipPath(inner, doAntiAlias=True)
        c.drawRect(skia.Rect.MakeLTRB(-90, -60, 90, 110), fill(shader=linear(0, -up, 0, low, [(40, 10, 16), (58, 16, 22), (34, 8, 14)], [0, .55, 1])))
        # tongue
        tip = g["tongue"]
        rest_top = low - .34 * gap - 2
        top = rest_top + (4.0 - rest_top) * tip * .9
        tw = wi * (.74 - .18 * tip)
        tongue = curve((-tw, low + 26), (-tw, top + 4), (-tw * .55, top), (0, top + 1.5), (tw * .55, top), (tw, top + 4), (tw, low + 26))
        tongue.close()
        c.drawPath(tongue, fill(shader=linear(0, top, 0, low + 14, [(218, 116, 118), (186, 78, 88), (120, 40, 52)], [0, .45, 1]), blur=1.1))
        c.drawLine(0, top + 6, 0, low + 10, stroke((150, 54, 66), 2, .45, 1.2))
        # lower teeth follow the jaw, closing onto the upper ones for s, z, t
        lt = max(3.2, (low - 4.5) * (1 - g["teeth"]) + 4.0 * g["teeth"])
        tw2 = wi * .66
        if low > 6 or g["teeth"] > .05:
            lowt = curve((-tw2, lt + 4), (-tw2 * .6, lt), (tw2 * .6, lt), (tw2, lt + 4), (tw2, lt + 24), (-tw2, lt + 24), (-tw2, lt + 4))
            c.drawPath(lowt, fill(shader=linear(-tw2, 0, tw2, 0, [(176, 164, 160), (226, 219, 210), (222, 214, 206), (158, 146, 146)], [0, .3, .7, 1]), alpha=.30 + .70 * g["teeth"], blur=.7))
        # upper teeth, fixed to the head
        tw1 = wi * .80
        tb = 3.0 + 1.0 * g["teeth"] - 7.5 * g["rnd"]
        teeth = curve((-tw1, -22), (-tw1 * .98, tb - 7), (-tw1 * .7, tb - 1), (-tw1 * .3, tb), (-8, tb + .8), (8, tb + .8), (tw1 * .3, tb), (tw1 * .7, tb - 1), (tw1 * .98, tb - 7), (tw1, -22))
        teeth.close()
        c.drawPath(teeth, fill(shader=linear(-tw1, 0, tw1, 0, [(168, 156, 152), (242, 236, 228), (252, 248, 242), (238, 232, 224), (150, 140, 140)], [0, .25, .45, .7, 1]), blur=.6))
        for x in (-27, -17.5, -9, 0, 9, 17.5, 27):
            c.drawLine(x, -14, x * .99, tb - 1, stroke((186, 170, 164), 1.0, .45, .5))
        c.drawRect(skia.Rect.MakeLTRB(-90, -up - 4, 90, -up + 4.5), fill((30, 6, 12), blur=3, alpha=.55))    # the upper lip's shadow
        if g["tuck"] < .9:
            c.drawPath(curve((-wi, cy), (-wi * k, li), (wi * k, li), (wi, cy)), stroke((30, 6, 12), min(9.0, .5 * open_), .85 * (1 - g["tuck"]), 1.0))   # and the lower one's
        c.restore()
    c.drawPath(upper, fill(shader=linear(0, -up - hu, 0, max(0.0, -up) + 3, [mix(LIP_UP, SKIN, .10), LIP_UP, mix(LIP_UP, LIP_LINE, .42)], [0, .5, 1]), blur=.9))
    c.drawPath(lower, fill(shader=linear(0, low, 0, low + hl, [mix(LIP_LOW, LIP_LINE, .30), LIP_LOW, mix(LIP_LOW, LIP_UP, .55)], [0, .4, 1]), blur=.9))
    # volume: a soft light on the lower lip, a glint, the bow's edge
    c.save()
    c.clipPath(lower, doAntiAlias=True)
    c.drawOval(skia.Rect.MakeLTRB(-w * .46 - 4, low + hl * .26, w * .30, low + hl * .62), fill((244, 150, 142), blur=4, alpha=.75))
    c.drawOval(skia.Rect.MakeLTRB(-16, low + hl * .32, 4, low + hl * .50), fill((255, 196, 184), blur=2.2, alpha=.60))
    c.restore()
    bow = 11 * (1 - .42 * g["rnd"])
    c.drawPath(curve((-bow - 12, -up - hu + 1.5), (-bow, -up - hu - 2.5), (-5, -up - hu + 2), (0, -up - hu + 2.4), (5, -up - hu + 2), (bow, -up - hu - 2.5), (bow + 12, -up - hu + 1.5)),
               stroke((255, 214, 190), 2.4, .40, 1.3))
    # the line between the lips; where they part it becomes the inner edge
    t = max(0.0, 1 - open_ / 6)
    k = 0.56 + 0.16 * g["rnd"]
    ti, li = (-up - .25 * cy) / .75, (low - .25 * cy) / .75
    c.drawPath(curve((-w + 1, cy), (-wi * k, ti + .8), (wi * k, ti + .8), (w - 1, cy)), stroke(LIP_LINE, 2.0 + 1.0 * t, .55 + .35 * t, .7))
    if open_ > .01:
        c.drawPath(curve((-w + 1, cy), (-wi * k, li - .3), (wi * k, li - .3), (w - 1, cy)), stroke(LIP_LINE, 1.6, .40, .8))
    for s in (-1, 1):
        c.drawCircle(s * (w - 1.5), cy + .4, 2.6, fill(LIP_LINE, blur=1.6, alpha=.75))
    c.restore()


def _hair_front(c, face, par):
    c.save()
    c.clipPath(face, doAntiAlias=True)
    c.save()
    c.translate(8, 16)
    c.drawPath(_fringe(), fill((110, 48, 42), blur=11, alpha=.55))          # its shadow on the forehead
    c.restore()
    c.restore()
    c.save()
    c.translate(4 * par[0], 2 * par[1])
    fr = _fringe()
    c.drawPath(fr, fill(shader=linear(-190, -240, 200, 20, [mix(HAIR, HAIR_LIGHT, .45), mix(HAIR, HAIR_LIGHT, .12), HAIR, HAIR_DARK], [0, .3, .6, 1])))
    c.save()
    c.clipPath(fr, doAntiAlias=True)
    for i in range(34):                                                      # strands from the parting
        u = i / 33
        c.drawPath(curve((52 + 4 * u, -262), (-40 - 90 * u, -250 + 60 * u), (-140 - 56 * u, -150 + 60 * u), (-158 - 40 * u + 30 * (1 - u), -60 + 150 * u)),
                   stroke((176, 108, 70) if i % 2 else HAIR_DARK, 5.0 - 1.5 * (i % 3), .24 + .08 * (i % 3), 1.6))
    for i in range(12):
        u = i / 11
        c.drawPath(curve((56, -262), (120 + 50 * u, -240 + 20 * u), (176 + 28 * u, -150), (170 + 38 * u - 10, -20 + 100 * u)),
                   stroke((160, 98, 66) if i % 3 == 0 else HAIR_DARK, 3.6, .34, 1.6))
    c.drawPath(curve((-166, -166), (-120, -214), (-60, -232), (-6, -226)), stroke((226, 156, 104), 22, .34, 13))    # the light's band
    c.drawPath(curve((96, -262), (168, -226), (206, -140), (212, -40), (216, 20), (212, 80), (196, 140)), stroke(RIM, 12, .40, 6))
    c.restore()
    for p in [((-30, -268), (-80, -272), (-130, -246), (-170, -200)), ((80, -266), (130, -262), (176, -224), (200, -160)), ((-196, -90), (-214, -20), (-214, 40), (-206, 110))]:
        c.drawPath(curve(*p), stroke(HAIR, 2.2, .8, .6))
    c.restore()


def _fringe():
    return spline([(56, -272), (110, -262), (164, -226), (200, -150), (211, -60), (212, 30), (204, 104), (190, 152), (178, 120), (182, 60), (176, 0), (166, -58), (146, -110),
                   (112, -158), (78, -194), (40, -176), (-6, -142), (-64, -114), (-120, -92), (-152, -62), (-165, -14), (-172, 40), (-184, 96), (-196, 150), (-208, 92),
                   (-214, 20), (-210, -70), (-196, -156), (-156, -226), (-90, -266), (-14, -280)])


def draw_behind(c, pose: Pose):
    """What does not depend on the mouth and lies behind the face."""
    par = (pose.yaw, pose.pitch)
    m = matrix(pose)
    c.drawImage(background(), 0, 0)
    c.save()
    c.concat(m)
    _hair_back(c, par)
    c.restore()
    _body(c, pose)
    _neck(c, pose)
    _collar(c, pose)
    c.concat(m)
    _ears(c, par)


@lru_cache(512)
def _behind_square(pose: Pose):
    x1, y1, x2, y2 = square(pose)
    s = skia.Surface(x2 - x1, y2 - y1)
    c = s.getCanvas()
    c.translate(-x1, -y1)
    draw_behind(c, pose)
    return s.makeImageSnapshot()


def draw(c, pose: Pose, mouth, head_only=False):
    """The face and everything in front of it, over `draw_behind`."""
    g = shape_of(mouth)
    par = (pose.yaw, pose.pitch)
    c.save()
    c.concat(matrix(pose))
    face = _face(c, g, par)
    _folds(c, g, par)
    _nose(c, par)
    if not head_only:
        _eye(c, -1, pose, par)
        _eye(c, 1, pose, par)
    _mouth(c, g, par)
    _hair_front(c, face, par)
    for s in (-1, 1):
        c.drawCircle(s * 172 - 3 * par[0], 46, 6.5, fill(shader=radial(s * 172 - 2, 44, 8, [(255, 240, 190), (224, 166, 74), (120, 74, 34)], [0, .5, 1])))
    c.restore()


def pixels(surface):
    return surface.makeImageSnapshot().toarray(colorType=skia.kBGRA_8888_ColorType)[:, :, :3]


def render(pose: Pose, mouth=REST) -> np.ndarray:
    """The whole frame, (720, 1280, 3) uint8 BGR."""
    s = skia.Surface(WIDTH, HEIGHT)
    c = s.getCanvas()
    c.save()
    draw_behind(c, pose)
    c.restore()
    draw(c, pose, mouth)
    return np.ascontiguousarray(pixels(s))


def render_square(pose: Pose, mouth=REST) -> np.ndarray:
    """The crop square of the frame only, (s, s, 3) uint8 BGR."""
    x1, y1, x2, y2 = square(pose)
    s = skia.Surface(x2 - x1, y2 - y1)
    c = s.getCanvas()
    c.drawImage(_behind_square(pose), 0, 0)
    c.translate(-x1, -y1)
    draw(c, pose, mouth, head_only=True)
    return np.ascontiguousarray(pixels(s))


# ---------------------------------------------------------------- measuring the mouth from pixels

BOX = (78, 90, 242, 198)              # x1, y1, x2, y2 inside the 320×320 roi: lips and opening, no nostrils, no collar


_Y, _X = np.mgrid[BOX[1]:BOX[3], BOX[0]:BOX[2]]
FACE = (np.abs(_X - 160) < np.clip(80 - (_Y - 160) * .9, 40, 80)).astype(np.float32)      # not the hair beside the jaw


def _layers(roi: np.ndarray):
    """Soft masks of a 320×320 BGR roi inside BOX: the opening (dark, teeth, tongue between them), and lips."""
    x1, y1, x2, y2 = BOX
    b, g, r = (roi[y1:y2, x1:x2, i].astype(np.float32) for i in range(3))
    dark = np.clip((84 - r) / 24, 0, 1)                                  # skin and lips have R > 100
    teeth = np.clip((g - .62 * r - 24) / 18, 0, 1) * np.clip((34 - (r - b)) / 14, 0, 1) * np.clip((r - 100) / 30, 0, 1)
    lips = np.clip((r - g - 74) / 14, 0, 1)
    return np.maximum(dark, teeth) * FACE, lips * FACE


def _opening(roi):
    """Soft mask of the opening, with what lies between its first and last pixel of a column filled in (the tongue)."""
    inside, lips = _layers(roi)
    down, up = np.maximum.accumulate(inside, 0), np.maximum.accumulate(inside[::-1], 0)[::-1]
    return np.minimum(down, up), lips


def aperture(roi: np.ndarray) -> float:
    """Height of the mouth opening in roi pixels: the mean of its tallest 24 columns. 0 when the lips touch."""
    opening, _ = _opening(roi)
    return float(np.sort(opening.sum(0))[-24:].mean())


def _extent(profile: np.ndarray) -> float:
    on = np.flatnonzero(profile >= 1.5)
    if len(on) == 0:
        return 0.0
    a, b = on[0], on[-1]
    left = profile[a - 1] / 1.5 if a > 0 else 0.0                        # sub-pixel ends
    right = profile[b + 1] / 1.5 if b + 1 < len(profile) else 0.0
    return float(b - a + 1 + min(1, left) + min(1, right))


def width(roi: np.ndarray) -> float:
    """Distance of the lip corners in roi pixels."""
    opening, lips = _opening(roi)
    return _extent(np.maximum(opening, lips).sum(0))


def rounding(roi: np.ndarray) -> float:
    """Fullness of the lips: their area over the squared distance of the corners."""
    opening, lips = _opening(roi)
    w = _extent(np.maximum(opening, lips).sum(0))
    return float((lips * (1 - opening)).sum() / max(w, 20.0) ** 2)


def measure(roi: np.ndarray) -> tuple[float, float, float]:
    return aperture(roi), width(roi), rounding(roi)


VISEMES = {                      # jaw, width, round, close, tuck, teeth, tongue
    "rest": REST, "aa": (.85, .1, 0, 0, 0, 0, 0), "ee": (.26, .9, 0, 0, 0, .25, 0), "oo": (.24, -.9, 1, 0, 0, 0, 0), "oh": (.52, -.65, .8, 0, 0, 0, 0),
    "f": (.14, .1, 0, 0, 1, .3, 0), "m": (.1, 0, 0, 1, 0, 0, 0), "l": (.35, .2, 0, 0, 0, 0, 1), "s": (.08, .45, 0, 0, 0, 1, 0), "eh": (.5, .4, 0, 0, 0, 0, 0),
    "half": (.15, 0, 0, 0, 0, 0, 0), "max": (1, .3, 0, 0, 0, 0, 0),
}

if __name__ == "__main__":
    import time
    from pathlib import Path

    import cv2

    from viseme_train import config
    from viseme_train.compact.settings import CompactConfig

    out = config.read(CompactConfig, Path(__file__).with_name("robin.toml")).work
    out.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(f"{out}/robin-frame.png", render(template_pose(0), REST))
    cv2.imwrite(f"{out}/robin-speaking.png", render(template_pose(200), VISEMES["eh"]))
    tiles = []
    for name, m in VISEMES.items():
        t = cv2.resize(render_square(template_pose(100), m), (328, 328), interpolation=cv2.INTER_CUBIC)
        cv2.putText(t, name, (8, 22), cv2.FONT_HERSHEY_SIMPLEX, .6, (255, 255, 255), 1, cv2.LINE_AA)
        tiles.append(t)
    cv2.imwrite(f"{out}/robin-visemes.png", np.concatenate([np.concatenate(tiles[i:i + 4], 1) for i in range(0, 12, 4)], 0))
    t0 = time.time()
    for _ in range(20):
        render_square(template_pose(3), VISEMES["aa"])
    print("square", square(template_pose(0)), "ms a square", (time.time() - t0) / 20 * 1000)
