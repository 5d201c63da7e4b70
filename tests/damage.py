"""Ways to damage a file, at random places; and a small study to damage, with what it ends with."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cartwheel.tuning import Running, tune
from snapshot import snapshot
from synthetic_executor import SyntheticBackend, small_spec

SPEC = small_spec(tuner={"name": "pbt", "population": 2}, num_episodes=3, validation={"num_episodes": 1})
"""Two members with three segments each."""

Damage = Callable[[Path, np.random.Generator], None]


def flip(path: Path, rng: np.random.Generator) -> None:
    """Up to eight bits, anywhere."""
    data = bytearray(path.read_bytes())
    for _ in range(rng.integers(1, 9)):
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)


def cut(path: Path, rng: np.random.Generator) -> None:
    """Anything from all to one byte is missing at the end."""
    path.write_bytes(path.read_bytes()[: rng.integers(path.stat().st_size)])


def swap(path: Path, rng: np.random.Generator) -> None:
    """Another file of the folder in its place."""
    others = [other for other in sorted(path.parent.iterdir()) if other != path]
    path.write_bytes(others[rng.integers(len(others))].read_bytes())


def remove(path: Path, rng: np.random.Generator) -> None:
    del rng
    path.unlink()


def zero(path: Path, rng: np.random.Generator) -> None:
    """A block of 512 bytes, as a disk loses them."""
    data = bytearray(path.read_bytes())
    start = 512 * int(rng.integers((len(data) + 511) // 512))
    end = min(start + 512, len(data))
    data[start:end] = bytes(end - start)
    path.write_bytes(data)


def move_block(path: Path, rng: np.random.Generator) -> None:
    """One block of 4096 bytes where another should be."""
    data = bytearray(path.read_bytes())
    source, target = (4096 * int(rng.integers(len(data) // 4096)) for _ in range(2))
    data[target : target + 4096] = data[source : source + 4096]
    path.write_bytes(data)


def run(run_dir: Path, num_looks: int | None = None) -> list[str]:
    """Run the study on, to its end or for so many looks; what the user was told."""
    told: list[str] = []
    looks = iter([False] * (num_looks or 0))

    class Listener:
        def on_message(self, message: str) -> None:
            told.append(message)

        def __getattr__(self, name: str) -> Callable[..., None]:
            return lambda *_: None

    should_stop = (lambda: False) if num_looks is None else (lambda: next(looks, True))
    tune(SPEC, run_dir, Running((Listener(),), should_stop, backend=SyntheticBackend()))
    return told


def stopped_after(looks: Sequence[int], folder: Path) -> list[Path]:
    """The study at several moments of its life: after so many looks at the executor."""
    folders = [folder / str(number) for number in looks]
    for own, number in zip(folders, looks, strict=True):
        run(own, number)
    return folders


def results(run_dir: Path) -> dict[str, Any]:
    """What the study holds. Segments that run again report later, and evaluations are begun anew: the log is compared
    without its order, and evaluations by what they are of instead of by number."""
    tables = snapshot(run_dir)
    names = {row["id"]: f"{row['segment']} {row['seed']}" for row in tables["evaluations"]}
    evaluations = [{**row, "id": names[row["id"]]} for row in tables["evaluations"]]
    played = [{**row, "evaluation": names[row["evaluation"]]} for row in tables["evaluation_episodes"]]
    unordered = {"evaluations": evaluations, "evaluation_episodes": played}
    events = sorted(repr(row["event"]) for row in tables["events"])
    return {**tables, **{name: sorted(map(repr, rows)) for name, rows in unordered.items()}, "events": events}


def copied(run_dir: Path, to: Path) -> Path:
    shutil.copytree(run_dir, to)
    return to
