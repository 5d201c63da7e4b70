"""Random Search: independent draws from the prior, each trained for the whole budget (Bergstra and Bengio 2012)."""

from dataclasses import dataclass

from cartwheel.records import Config, Segment
from cartwheel.spaces.space import Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.draws import first_config
from cartwheel.tuners.planned import IndependentTrials


@dataclass(frozen=True, slots=True)
class RandomSearchSettings:
    """``num_trials``: configs drawn. ``default_first``: trial 0 gets the default config instead of a draw."""

    num_trials: int = 8
    default_first: bool = False

    def __post_init__(self) -> None:
        if self.num_trials < 1:
            raise ValueError(f"num_trials must be at least 1, got {self.num_trials}")


def random_search(space: Space, seed: int, num_episodes: int, settings: RandomSearchSettings) -> Tuner:
    """One segment of ``num_episodes`` per trial."""

    def course(trial: int, last: Segment | None) -> tuple[Config, int]:
        drawn = first_config(space, seed, trial, settings.default_first) if last is None else last.config
        return drawn, num_episodes

    return IndependentTrials(space, seed, num_episodes, settings, course)
