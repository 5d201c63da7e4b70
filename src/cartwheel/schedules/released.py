"""The schedules that came with Zhang et al. 2021 (automl/HPO_for_RL): JSON lists with one config per episode.

Entry i is the config of episode i; entry 0 belongs to the random episode, and so to the first fit alone. Here a
schedule's first piece covers that episode too, so entry 0 matters only for writing the same file again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from cartwheel.errors import did_you_mean
from cartwheel.records import Config
from cartwheel.schedules.schedule import Piece, Schedule, check_values, merged, parse_json

NAMES: Mapping[str, str] = {
    "model_learning_rate": "learning_rate",
    "model_weight_decay": "weight_decay",
    "model_train_epoch": "num_epochs",
    "plan_hor": "plan_horizon",
    "num_cem_iters": "num_iterations",
    "cem_popsize": "num_samples",
    "cem_elites_ratio": "elite_ratio",
    "cem_alpha": "alpha",
}
"""Theirs to ours."""

THEIR_NAMES = {ours: theirs for theirs, ours in NAMES.items()}


@dataclass(frozen=True, slots=True)
class ReleasedSchedule:
    """``configs[i]``: that of episode i, under our names. At least two, all of the same hyperparameters."""

    configs: tuple[Config, ...]

    def __post_init__(self) -> None:
        if len(self.configs) < 2:
            raise ValueError(f"needs the random episode and at least one more, got {len(self.configs)} entries")
        for episode, config in enumerate(self.configs):
            if config.keys() != self.configs[0].keys():
                raise ValueError(f"entry {episode} has other hyperparameters than the first")

    @property
    def schedule(self) -> Schedule:
        """What a rerun follows."""
        return Schedule(merged(Piece(i, i + 1, config) for i, config in enumerate(self.configs[1:])))

    @staticmethod
    def from_schedule(schedule: Schedule) -> "ReleasedSchedule":
        """Raises ValueError for a scaled schedule: the format cannot say that it is one."""
        if schedule.scales:
            raise ValueError("the format cannot say that values were scaled")
        return ReleasedSchedule(tuple(schedule.config_at(episode) for episode in range(schedule.num_episodes + 1)))

    @staticmethod
    def from_text(text: str) -> "ReleasedSchedule":
        """The schedule in such a file's text. Raises ValueError with the cause if it holds none."""
        data = parse_json(text)
        if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
            raise ValueError("not a released schedule: it must be a list of objects, one per episode")
        return ReleasedSchedule(tuple(_ours(entry, episode) for episode, entry in enumerate(data)))

    def to_text(self) -> str:
        """Text for a file; ``from_text`` is the inverse. Raises ValueError on a hyperparameter the format lacks."""
        return json.dumps([_theirs(config) for config in self.configs], allow_nan=False)


def _ours(entry: Config, episode: int) -> Config:
    for name in entry:
        if name not in NAMES:
            raise ValueError(f"entry {episode}: no hyperparameter {name!r}: {did_you_mean(name, NAMES)}")
    check_values(entry)
    return {NAMES[name]: value for name, value in entry.items()}


def _theirs(config: Config) -> Config:
    for name in config:
        if name not in THEIR_NAMES:
            raise ValueError(f"the format has no {name!r}; it has {', '.join(THEIR_NAMES)}")
    return {THEIR_NAMES[name]: value for name, value in config.items()}
