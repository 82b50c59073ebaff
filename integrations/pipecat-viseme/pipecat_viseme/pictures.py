"""From the planes that Viseme gives to the RGB that Pipecat's transports take."""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace


def rgb(planes: bytes, width: int, height: int) -> bytes:
    """Converts a picture.

    Args:
        planes: I420, BT.709, limited range; width and height are even.
    """
    picture = av.VideoFrame.from_ndarray(np.frombuffer(planes, np.uint8).reshape(height * 3 // 2, width), format="yuv420p")
    picture = picture.reformat(format="rgb24", src_colorspace=Colorspace.ITU709, src_color_range=ColorRange.MPEG, dst_color_range=ColorRange.JPEG)
    plane = picture.planes[0]
    if plane.line_size == width * 3:
        return bytes(plane)[: width * height * 3]
    return bytes(np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height, : width * 3].tobytes())
