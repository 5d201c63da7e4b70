"""The schedules that Ray Tune writes: ``pbt_policy_TRIAL.txt`` of its ``PopulationBasedTraining``.

One line of JSON per exploit, oldest first: [tag of who copied, tag of who was copied, iteration of the one, iteration
of the other, config of who was copied, config after exploring]. A file begins with the lines of whoever was copied, so
read backwards it is a lineage; where the tags no longer join, older lines belong to what a copy has overwritten.

What is read is what Ray's ``PopulationBasedTrainingReplay`` would train (checked against Ray 2.60): the old config of
the first line that counts, then each new config after the iteration of who was copied, but at most one change per
iteration. A training iteration becomes a model-driven episode. The last config goes on for as long as it is asked for:
no file says where the training ended.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cartwheel.errors import did_you_mean
from cartwheel.records import Config
from cartwheel.schedules.schedule import Piece, Schedule, check_values, merged, parse_json

SEPARATOR = "/"
"""Between the names of nested tables, as Ray joins them itself."""

NUM_ENTRIES = 6


@dataclass(frozen=True, slots=True)
class RayPolicy:
    """``initial``, then each config of ``changes`` after so many iterations, strictly increasing from 1 on."""

    initial: Config
    changes: tuple[tuple[int, Config], ...]

    def schedule(self, num_episodes: int) -> Schedule:
        """The first ``num_episodes`` model-driven episodes under this policy."""
        starts = [0, *(after for after, _ in self.changes)]
        stops = [*starts[1:], max(num_episodes, starts[-1] + 1)]
        configs = [self.initial, *(config for _, config in self.changes)]
        return Schedule(merged(map(Piece, starts, stops, configs))).first(num_episodes)

    @staticmethod
    def from_text(text: str, names: Mapping[str, str]) -> "RayPolicy":
        """The policy in such a file's text. ``names``: theirs to ours; ``""`` leaves a hyperparameter out.

        Names without an entry stay as they are; nested ones are joined by ``/``. Raises ValueError with line and cause.
        """
        rows = [_Row.of(line, number) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        if not rows:
            raise ValueError("holds no line, so no config")
        lineage = _lineage(rows)
        initial = lineage[0].renamed(lineage[0].old, names)
        changes: list[tuple[int, Config]] = []
        for row in lineage:
            earliest = changes[-1][0] + 1 if changes else 1
            config = row.renamed(row.new, names)
            if config.keys() != initial.keys():
                raise ValueError(f"line {row.number}: has other hyperparameters than the lines before")
            changes.append((max(row.iteration, earliest), config))
        return RayPolicy(initial, tuple(changes))


def is_ray_policy(text: str) -> bool:
    """Whether the first line is a list that begins with a tag: the other formats' lists hold tables."""
    try:
        row = json.loads(text.lstrip().partition("\n")[0])
    except (json.JSONDecodeError, RecursionError):
        return False
    return isinstance(row, list) and bool(row) and isinstance(row[0], str)


@dataclass(frozen=True, slots=True)
class _Row:
    """``iteration``: that of who was copied."""

    number: int
    copier: str
    copied: str
    iteration: int
    old: Mapping[str, Any]
    new: Mapping[str, Any]

    @staticmethod
    def of(line: str, number: int) -> "_Row":
        try:
            entries = parse_json(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if not isinstance(entries, list) or len(entries) != NUM_ENTRIES:
            raise ValueError(f"line {number}: must be a list of {NUM_ENTRIES} entries, as Ray's PBT writes it")
        copier, copied, _, iteration, old, new = entries
        if type(iteration) is not int or iteration < 0:
            raise ValueError(f"line {number}: the fourth entry must be an iteration, got {iteration!r}")
        if not (
            isinstance(copier, str) and isinstance(copied, str) and isinstance(old, dict) and isinstance(new, dict)
        ):
            raise ValueError(f"line {number}: must be two tags, two iterations and two configs")
        return _Row(number, copier, copied, iteration, _flat(old), _flat(new))

    def renamed(self, values: Mapping[str, Any], names: Mapping[str, str]) -> Config:
        for name in names.keys() - values.keys():
            raise ValueError(f"line {self.number}: no hyperparameter {name!r}: {did_you_mean(name, values)}")
        kept = [(names.get(name, name), value) for name, value in values.items() if names.get(name, name)]
        config = dict(kept)
        if len(config) < len(kept):
            raise ValueError(f"line {self.number}: two hyperparameters get the same name")
        try:
            check_values(config)
        except ValueError as error:
            raise ValueError(f"line {self.number}: {error}") from None
        return config


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}{SEPARATOR}")
        else:
            flat[prefix + name] = value
    return flat


def _lineage(rows: list[_Row]) -> list[_Row]:
    """The newest rows that join, oldest first: who was copied in one is who copied in the row before."""
    lineage = rows[-1:]
    for row in reversed(rows[:-1]):
        if row.copier != lineage[-1].copied:
            break
        lineage.append(row)
    return lineage[::-1]
