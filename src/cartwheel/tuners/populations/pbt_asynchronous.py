"""Asynchronous Population Based Training: a member that has reported is compared at once, and nobody waits.

As Jaderberg et al. 2017 and Zhang et al. 2021 ran it. Exploit, explore and the comparison at equal ages are those of
``pbt``, but for one member at a time: with the newest checkpoint of every other's lineage that has ended and is not
older. Who has ended none counts as the worst, so nobody is replaced on the evidence of a few early ones.

Use it where segments take very different times, so that waiting for the slowest member costs much. What is decided
depends on the order of completion, and so on the number of workers. A replay of the log decides alike.

With fewer workers than members, who has spent the fewest episodes is served first.
"""

from cartwheel.records import Segment
from cartwheel.spaces.space import Space
from cartwheel.tuners.populations.pbt_settings import PbtSettings
from cartwheel.tuners.populations.population import PopulationTuner, Step


class AsynchronousPbt(PopulationTuner):
    """``num_episodes`` model-driven episodes per member, each in segments at its own pace."""

    def __init__(self, space: Space, seed: int, num_episodes: int, settings: PbtSettings) -> None:
        super().__init__(space, seed, num_episodes, settings)
        for trial in range(settings.population):
            self._begin(trial, 0, Step(self._draw(trial)))

    def _plan(self, ended: Segment) -> None:
        if self._spent_episodes[ended.trial] < self._num_episodes:
            copies = self._population.copies([ended], self._newest_ended)
            step = copies.get(ended.trial) or self._population.own_step(ended)
            self._begin(ended.trial, ended.index + 1, step)

    def _begin(self, trial: int, index: int, step: Step) -> None:
        settings = self._settings
        interval = settings.first_interval_episodes if step.sources is None else settings.interval_episodes
        self._queue[trial] = self._segment(trial, index, step, interval)
