"""Pictures with captions, side by side, as an mp4 that browsers play (H.264) or an animated WebP, which pages without
video players show. PyAV and Pillow are used here alone.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cartwheel.errors import StorageError, UsageError

Pixels = NDArray[np.uint8]
"""[H, W, 3], red, green, blue."""

_QUALITY = "24"
"""x264's constant rate factor: 18 looks lossless, 28 small."""
_WEBP_QUALITY = 60
"""Of 100: captions stay legible, and ten seconds of three cheetahs take less than 2 MB."""
_FONT_PX, _MARGIN_PX = 15, 8
_PAPER, _INK, _ALARM = (255, 255, 255), (20, 20, 20), (190, 60, 20)
"""The alarm is the vermillion of the figures, darker: it is read as text."""


@dataclass(frozen=True, slots=True)
class Caption:
    """Lines above a picture; ``alarm`` is a line below them, in the colour of what went wrong."""

    lines: tuple[str, ...]
    alarm: str = ""


def captioned(pixels: Pixels, caption: Caption) -> Pixels:
    """The picture with its caption in a bar above it, so that it hides nothing."""
    height, width, _ = pixels.shape
    bar_px = caption_height(len(caption.lines))
    image = Image.new("RGB", (width, height + bar_px), _PAPER)
    image.paste(Image.fromarray(pixels), (0, bar_px))
    drawing, font = ImageDraw.Draw(image), ImageFont.load_default(size=_FONT_PX)
    for row, (line, colour) in enumerate([*((line, _INK) for line in caption.lines), (caption.alarm, _ALARM)]):
        drawing.text((_MARGIN_PX, _MARGIN_PX + row * (_FONT_PX + 4)), line, fill=colour, font=font)
    return np.asarray(image, np.uint8)


def caption_height(num_lines: int) -> int:
    """Pixels of a bar with so many lines and one for the alarm; even, as H.264 wants sizes to be."""
    needed = 2 * _MARGIN_PX + (num_lines + 1) * (_FONT_PX + 4)
    return needed + needed % 2


def side_by_side(films: Sequence[Iterable[Pixels]]) -> Iterable[Pixels]:
    """Films of equal height next to each other; one that ends earlier stays at its last picture."""
    last: list[Pixels] = []
    for pictures in zip_longest(*films):
        last = [old if new is None else new for old, new in zip(last or pictures, pictures, strict=True)]
        yield np.concatenate(last, axis=1)


def write_film(path: Path, film: Iterable[Pixels], frames_per_s: float) -> Path:
    """Write a film, as its suffix says; a half-written one is never left under its name.

    Raises UsageError for another suffix or without PyAV, StorageError.
    """
    if path.suffix not in _WRITERS:
        raise UsageError(f"no kind of film: {path.suffix!r}", "--out", f"end its name in {' or '.join(_WRITERS)}")
    temporary = path.with_name(f".{path.name}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _WRITERS[path.suffix](temporary, film, frames_per_s)
        temporary.rename(path)
    except OSError as error:
        raise StorageError(f"cannot write the video: {error.strerror}", str(path), "choose another --out") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _write_mp4(path: Path, film: Iterable[Pixels], frames_per_s: float) -> None:
    try:
        import av
    except ImportError as error:
        raise UsageError("videos need PyAV", "video", "pip install 'cartwheel[video]'") from error
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        _encode(container, film, Fraction(frames_per_s).limit_denominator(1000))


def _write_webp(path: Path, film: Iterable[Pixels], frames_per_s: float) -> None:
    first, *others = map(Image.fromarray, film)
    every_ms = round(1000.0 / frames_per_s)
    first.save(path, save_all=True, append_images=others, duration=every_ms, loop=0, quality=_WEBP_QUALITY, method=4)


_WRITERS = {".mp4": _write_mp4, ".webp": _write_webp}


def _encode(container: Any, film: Iterable[Pixels], frames_per_s: Fraction) -> None:
    from av import VideoFrame

    stream: Any = None
    for pixels in film:
        if stream is None:
            stream = container.add_stream("libx264", rate=frames_per_s, options={"crf": _QUALITY})
            stream.height, stream.width = pixels.shape[:2]
            stream.pix_fmt = "yuv420p"  # the one that every browser plays
        container.mux(stream.encode(VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
    if stream is not None:
        container.mux(stream.encode())
