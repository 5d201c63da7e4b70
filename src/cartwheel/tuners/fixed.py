"""Controls that decide nothing: trials under one given config, or under one given schedule.

``fixed`` is what tuning has to beat. ``fixed-schedule`` is the control for whatever changes values while agents train:
nearly all schedules that Zhang et al. 2021 released lower the learning rate 4 to 30 times, which needs no population.

Trials differ in their random numbers only, so their mean is one config's, over as many seeds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cartwheel.errors import did_you_mean
from cartwheel.records import Config, Segment, Value
from cartwheel.schedules.schedule import Schedule
from cartwheel.spaces.space import Listed, Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.planned import Course, IndependentTrials


@dataclass(frozen=True, slots=True)
class FixedSettings:
    """``num_trials`` train under the default config, in which ``config`` replaces values."""

    num_trials: int = 8
    config: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.num_trials < 1:
            raise ValueError(f"num_trials must be at least 1, got {self.num_trials}")


@dataclass(frozen=True, slots=True)
class FixedScheduleSettings(FixedSettings):
    """A decay, or the pieces of a schedule.

    Every ``interval_episodes`` the ``decayed`` values are multiplied by ``factor_per_episode`` for each episode since
    the start, and stay in their ranges. The default of 0.93 divides by ten in 32 episodes; the paper's 300 episodes
    would take 0.992.

    ``pieces``: instead of a decay, those of a schedule file, each with start, stop and config; the last one stays in
    force after its end.
    """

    decayed: tuple[str, ...] = ("learning_rate",)
    factor_per_episode: float = 0.93
    interval_episodes: int = 1
    pieces: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        FixedSettings.__post_init__(self)
        if not 0 < self.factor_per_episode < float("inf"):
            raise ValueError(f"factor_per_episode must be above 0, got {self.factor_per_episode}")
        if self.interval_episodes < 1:
            raise ValueError(f"interval_episodes must be at least 1, got {self.interval_episodes}")
        if self.pieces and self.config:
            raise ValueError("give pieces, which hold configs, or a config that decays, not both")


def fixed(space: Space, seed: int, num_episodes: int, settings: FixedSettings) -> Tuner:
    """One segment of ``num_episodes`` per trial. Raises ValueError if the config does not lie in the space."""
    config = _begin(space, settings.config)
    return IndependentTrials(space, seed, num_episodes, settings, lambda trial, last: (config, num_episodes))


def fixed_schedule(space: Space, seed: int, num_episodes: int, settings: FixedScheduleSettings) -> Tuner:
    """One segment per piece. Raises ValueError if a config does not lie in the space, or cannot decay."""
    course = _pieces(space, num_episodes, settings) if settings.pieces else _decay(space, num_episodes, settings)
    return IndependentTrials(space, seed, num_episodes, settings, course)


def _begin(space: Space, changes: Mapping[str, Value]) -> dict[str, Value]:
    config = {**space.default, **changes}
    space.check(config)
    return config


def _decay(space: Space, num_episodes: int, settings: FixedScheduleSettings) -> Course:
    begin = _begin(space, settings.config)
    for name in settings.decayed:
        if isinstance(space.parameters.get(name), Listed | None):
            numbers = [known for known, parameter in space.parameters.items() if not isinstance(parameter, Listed)]
            raise ValueError(f"decayed: no number {name!r} in the space: {did_you_mean(name, numbers)}")
        if name in space.static_names:
            raise ValueError(f"decayed: {name!r} is static: it cannot change while an agent trains")

    def course(trial: int, last: Segment | None) -> tuple[Config, int]:
        start = 0 if last is None else last.stop
        num_intervals = start // settings.interval_episodes
        factor = settings.factor_per_episode ** (num_intervals * settings.interval_episodes)
        decayed = {name: float(begin[name]) * factor for name in settings.decayed}
        stop = (num_intervals + 1) * settings.interval_episodes
        return space.clip({**begin, **decayed}), min(stop, num_episodes)

    return course


def _pieces(space: Space, num_episodes: int, settings: FixedScheduleSettings) -> Course:
    schedule = Schedule.from_tables(settings.pieces)
    for piece in schedule.pieces:
        space.check(piece.config)
    for name in space.static_names:
        if len({piece.config[name] for piece in schedule.pieces}) > 1:
            raise ValueError(f"pieces: {name!r} is static: it cannot change while an agent trains")

    def course(trial: int, last: Segment | None) -> tuple[Config, int]:
        start = 0 if last is None else last.stop
        piece = next((piece for piece in schedule.pieces if start < piece.stop), schedule.pieces[-1])
        return piece.config, min(piece.stop, num_episodes) if start < piece.stop else num_episodes

    return course
