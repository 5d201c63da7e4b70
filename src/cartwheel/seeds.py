"""Randomness is addressed, not consumed: every seed is a function of names.

A list of names such as ``(study_seed, "tune", "3.1", episode, "reset")`` gives the same random numbers whatever the
executor, the order, the number of workers, or the retries.
"""

import hashlib

import numpy as np


def seed_words(*names: int | str) -> tuple[int, ...]:
    """Four 32-bit words from a list of names: SHA-256 of their unambiguous spelling."""
    spelled = "\x1f".join(f"{type(name).__name__}:{name}" for name in names)
    digest = hashlib.sha256(spelled.encode()).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))


def numpy_rng(*names: int | str) -> np.random.Generator:
    """A NumPy generator addressed by names."""
    return np.random.default_rng(np.random.SeedSequence(seed_words(*names)))


def seed_integer(*names: int | str) -> int:
    """A non-negative 31-bit integer addressed by names, for ``env.reset(seed=...)``."""
    return seed_words(*names)[0] >> 1
