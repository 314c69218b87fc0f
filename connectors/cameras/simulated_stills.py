"""Stills of the simulated cameras: an empty road drawn from a clock, with blocks that move along it and the time in its corner.

No person, no plate, no place: greys computed from the camera's number and the second. Camera 4 stands still on purpose, for
ten minutes at a time.
"""

from __future__ import annotations

import struct
import zlib
from datetime import datetime

import numpy as np

WIDTH, HEIGHT = 480, 270
STANDS_STILL = 4
STILL_S = 600
# The rows of a digit from the top, three dots each.
_ROWS = {
    "0": (7, 5, 5, 5, 7), "1": (2, 6, 2, 2, 7), "2": (7, 1, 7, 4, 7), "3": (7, 1, 7, 1, 7), "4": (5, 5, 7, 1, 1), "5": (7, 4, 7, 1, 7),
    "6": (7, 4, 7, 5, 7), "7": (7, 1, 2, 2, 2), "8": (7, 5, 7, 5, 7), "9": (7, 5, 7, 1, 7), ":": (0, 2, 0, 2, 0),
}  # fmt: skip


def still(camera: int, at: datetime) -> bytes:
    """Return the PNG of one camera at a local time."""
    second = int(at.timestamp())
    if camera == STANDS_STILL:
        second -= second % STILL_S
        at = datetime.fromtimestamp(second, at.tzinfo)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    depth = np.clip((y - HEIGHT * 0.35) / (HEIGHT * 0.65), 0, 1)  # 0 at the horizon
    across = (x - WIDTH * (0.5 + 0.08 * (camera % 3 - 1))) / (WIDTH * (0.04 + 0.5 * depth))  # -1 to 1 is the road
    picture = np.where(depth > 0, 92 - 30 * depth, 168 - 0.5 * y)
    road = (np.abs(across) < 1) & (depth > 0)
    picture = np.where(road, 58 + 14 * depth, picture)
    lane = (np.abs(across) < 0.03) & (np.mod(1 / (depth + 0.05) + second * 0.7, 2) < 1)
    picture = np.where(road & lane, 205, picture)
    for n in range(5):
        along = ((second * (0.021 + 0.004 * n) + n * 0.23 + camera * 0.11) % 1.0) ** 2
        side = 0.45 if n % 2 else -0.45
        block = (np.abs(across - side) < 0.22) & (np.abs(depth - along) < 0.015 + 0.07 * along)
        picture = np.where(road & block, 110 + 25 * n, picture)
    picture = picture.astype(np.uint8)
    _write(picture, f"{at:%H:%M:%S}", 5)
    return _png(picture)


def _write(picture: np.ndarray, text: str, dot: int) -> None:
    picture[4 : 12 + 5 * dot, 4 : 12 + len(text) * 4 * dot] = 12
    for i, letter in enumerate(text):
        for row, bits in enumerate(_ROWS[letter]):
            for column in range(3):
                if bits >> (2 - column) & 1:
                    top, left = 8 + row * dot, 8 + (i * 4 + column) * dot
                    picture[top : top + dot, left : left + dot] = 240


def _png(picture: np.ndarray) -> bytes:
    """Return greys of 8 bits as PNG."""
    height, width = picture.shape
    lines = np.zeros((height, width + 1), dtype=np.uint8)  # each line begins with its filter: none
    lines[:, 1:] = picture

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)) + chunk(b"IEND", b"")
