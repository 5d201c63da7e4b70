"""Faults that a study must survive, injected: kills, errors of the disk, a full disk, signals, many owners, long runs.

Every study here runs the real command line in a process of its own, with the synthetic agent. ``make faults`` runs the
long form of every test, any other run of pytest the short one; ``count`` and ``IS_LONG`` are the one place that knows.
"""

import os

IS_LONG = os.environ.get("CARTWHEEL_FAULTS") == "long"


def count(ci: int, long: int) -> int:
    """How many cases to try."""
    return long if IS_LONG else ci
