"""Numbers and counts as words, the same in every sentence, table and figure."""

import math
from collections.abc import Iterable, Mapping, Sequence

SIGNIFICANT_DIGITS = 4


def number(value: float) -> str:
    """Four significant digits: ``152.3``, ``-0.005123``, ``12,345``; a value that is not finite says so."""
    return fixed(value, decimals_for([value]))


def decimals_for(values: Iterable[float]) -> int:
    """Decimals that give the largest of some numbers, which are read together, four significant digits."""
    finite = [abs(value) for value in values if math.isfinite(value) and value != 0]
    return max(0, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(max(finite)))) if finite else 0


def fixed(value: float, decimals: int, *, signed: bool = False) -> str:
    """A number with that many decimals, with its sign if asked; a value that is not finite says so."""
    return f"{value:{'+' if signed else ''},.{decimals}f}" if math.isfinite(value) else _not_finite(value)


def compact(value: float) -> str:
    """Short enough for a tick: ``0.001``, ``1e-5``, ``30``, ``1.5k``, ``2M``."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else _not_finite(value)
    if abs(value) < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(value) >= size:
            return f"{value / min(size, 1e3 if unit == 'k' else size):.3g}{unit}"
    return f"{value:.4g}"


def plural(count: int, noun: str) -> str:
    """``1 member``, ``2 members``, ``1,200 copies``."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun[:-1]}ies" if noun.endswith("y") else f"{count:,} {noun}s"


def duration(seconds: float) -> str:
    """``0.4 s``, ``42 s``, ``6 min 05 s``, ``3 h 20 min``."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def data_size(num_bytes: float) -> str:
    """``512 bytes``, ``9.6 MB``, ``1.2 GB``: powers of a thousand."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= size:
            return f"{num_bytes / size:.3g} {unit}"
    return plural(round(num_bytes), "byte")


def percent(fraction: float) -> str:
    """``0.3%``, ``42%``; below a tenth of a percent it says so."""
    if 0 < fraction < 0.001:
        return "under 0.1%"
    return f"{100 * fraction:.1f}%" if fraction < 0.1 else f"{100 * fraction:.0f}%"


def listed(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def tally(counted: Mapping[str, int]) -> str:
    """``3 timeout, 1 worker lost``: the most frequent first; empty if there is nothing."""
    return ", ".join(f"{times:,} {name}" for name, times in sorted(counted.items(), key=lambda item: (-item[1], item)))


def _not_finite(value: float) -> str:
    return "not a number" if math.isnan(value) else "infinity" if value > 0 else "-infinity"
