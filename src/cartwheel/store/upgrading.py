"""Older databases brought up to date, a version at a time: what is opened to write for good, what is read in memory.

Whoever changes the schema adds one step here, and an old run folder to ``tests/store/assets``.
"""

from collections.abc import Mapping

from cartwheel.store.seals import SEAL, SEALED

SCHEMA_VERSION = 4

_STEPS: Mapping[int, tuple[str, ...]] = {
    1: (
        "ALTER TABLE reports ADD COLUMN broken TEXT",
        "ALTER TABLE evaluations ADD COLUMN broken TEXT",
    ),
    2: (
        "ALTER TABLE reports ADD COLUMN kind TEXT",
        "ALTER TABLE evaluations ADD COLUMN kind TEXT",
        # diverged had one meaning; what else failed has no kind
        "UPDATE reports SET kind = 'non_finite_training' WHERE status = 'diverged'",
        """CREATE TABLE retries (
            number     INTEGER PRIMARY KEY,
            segment    TEXT NOT NULL REFERENCES segments,
            evaluation INTEGER REFERENCES evaluations,
            kind       TEXT NOT NULL,
            reason     TEXT NOT NULL,
            wall_s     REAL NOT NULL,
            broken     TEXT,
            seal       TEXT NOT NULL DEFAULT ''
        )""",
        *(f"ALTER TABLE {table} ADD COLUMN {SEAL} TEXT NOT NULL DEFAULT ''" for table in SEALED if table != "retries"),
    ),
    3: (
        "ALTER TABLE sessions ADD COLUMN commit_s REAL NOT NULL DEFAULT 0",
        "ALTER TABLE sessions ADD COLUMN num_devices INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE sessions ADD COLUMN device_compile_s REAL NOT NULL DEFAULT 0",
    ),
}
"""What makes the next version of a version."""


def steps_from(version: int) -> list[str]:
    """The statements that lead from a version to the present one; none from the present one.

    Raises KeyError for a version that there never was.
    """
    return [statement for old in range(version, SCHEMA_VERSION) for statement in _STEPS[old]]
