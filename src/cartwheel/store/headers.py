"""What a safetensors file claims to hold, read from its header alone: nothing of the claimed size is allocated.

The format: 8 bytes with the header's length, the header (JSON: of each array dtype, shape and place), then the bytes of
all arrays without a gap. https://huggingface.co/docs/safetensors
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from cartwheel.errors import CorruptCheckpoint

MAX_HEADER_BYTES = 16 * 2**20
"""No checkpoint of ours comes near this; a longer header is not read into memory."""
METADATA = "__metadata__"
_LENGTH_BYTES = 8
_DTYPES = {"F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1"} | {
    "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
"""Those that NumPy has too."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An array that is still in its file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


Layout: TypeAlias = Mapping[str, Claim]
Accepts: TypeAlias = Callable[[Layout], object]
"""Raises ValueError unless these are the arrays that are wanted; so nothing else is ever read."""


def accept_all(_layout: Layout) -> None:
    """For files whose arrays nobody has expectations of."""


def layout_of(path: Path) -> Layout:
    """The arrays of a file. Raises CorruptCheckpoint if it is none of this format, or not as long as it claims."""
    return _read(path)[1]


def metadata_of(path: Path) -> Mapping[str, str]:
    """The texts beside the arrays, none of which is read. Raises CorruptCheckpoint as ``layout_of``."""
    return dict(_read(path)[0].get(METADATA, {}))


def _read(path: Path) -> tuple[Mapping[str, Any], Layout]:
    """The header, and the arrays that it claims."""
    with path.open("rb") as file:
        num_bytes = path.stat().st_size
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        try:
            if not 2 <= length <= min(MAX_HEADER_BYTES, num_bytes - _LENGTH_BYTES):
                raise ValueError(f"its header claims {length} bytes of {num_bytes}")
            header = json.loads(file.read(length))
            return header, _layout(header, num_bytes - _LENGTH_BYTES - length)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CorruptCheckpoint(f"checkpoint is damaged: {error}", str(path)) from error


def _layout(header: Mapping[str, Any], num_bytes: int) -> Layout:
    about = {name: entry for name, entry in header.items() if name != METADATA}
    claims = {name: Claim(_shape(entry["shape"]), np.dtype(_DTYPES[entry["dtype"]])) for name, entry in about.items()}
    end = 0
    for name in sorted(about, key=lambda name: tuple(about[name]["data_offsets"])):
        claim = claims[name]
        size = math.prod(claim.shape) * claim.dtype.itemsize
        if about[name]["data_offsets"] != [end, end + size]:
            raise ValueError(f"array {name} claims {size} bytes at {about[name]['data_offsets']}, not from {end} on")
        end += size
    if end != num_bytes:
        raise ValueError(f"its arrays claim {end} bytes of {num_bytes}")
    return claims


def _shape(sizes: Any) -> tuple[int, ...]:
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError(f"{sizes} is no shape")
    return tuple(sizes)
