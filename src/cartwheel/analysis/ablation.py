"""Which changes made the difference? The path from the default config to a found one, best change first.

Ablation analysis (Fawcett & Hoos 2016, "Analysing differences between algorithm configurations through ablation",
Journal of Heuristics 22): from the default, change one hyperparameter at a time to its found value or schedule; in
every round try all that are left and keep the one with the best score. With d hyperparameters that is d (d + 1) / 2
trainings per seed, the last of which is the found one itself. The path is greedy: the first steps are the ones that
help on their own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cartwheel.records import Config
from cartwheel.schedules.schedule import Piece, Schedule, merged

Score: TypeAlias = Callable[[frozenset[str]], float]
"""The score of training with these hyperparameters as found and all others at their default; -inf if it failed."""


@dataclass(frozen=True, slots=True)
class Step:
    """One round: the hyperparameter that was changed, and the score then; ``tried``: of each that was left."""

    name: str
    score: float
    tried: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Ablation:
    """``default``: the score of the default config, from which the path starts."""

    task: str
    default: float
    path: tuple[Step, ...]


def ablation_path(names: Sequence[str], score: Score) -> list[Step]:
    """The rounds in order. Of equal scores the earlier name wins."""
    changed: frozenset[str] = frozenset()
    path = []
    while len(changed) < len(names):
        tried = tuple((name, score(changed | {name})) for name in names if name not in changed)
        name, value = max(tried, key=lambda pair: pair[1])
        path.append(Step(name, value, tried))
        changed |= {name}
    return path


def differing(schedule: Schedule, default: Config) -> list[str]:
    """The hyperparameters that the schedule does not keep at their default."""
    return [name for name in schedule.pieces[0].config if any(p.config[name] != default[name] for p in schedule.pieces)]


def mixed(schedule: Schedule, default: Config, found: Iterable[str]) -> Schedule:
    """The schedule with only the hyperparameters of ``found`` as they are in it, and the others at their default."""
    kept = frozenset(found)
    return Schedule(
        merged(
            Piece(p.start, p.stop, {name: v if name in kept else default[name] for name, v in p.config.items()})
            for p in schedule.pieces
        )
    )
