"""Around any tuner: what it is told of episodes whose physics broke. The study stores returns as they were."""

import dataclasses
from typing import Any

from cartwheel.exploits import OnExploit, counted_return
from cartwheel.records import Event, Reported, Segment, SegmentId
from cartwheel.tuners.base import Tuner


class CountedReturns:
    """Tells ``tuner`` the returns that count instead of those that were paid."""

    def __init__(self, tuner: Tuner, on_exploit: OnExploit) -> None:
        self._tuner, self._on_exploit = tuner, on_exploit

    def ask(self, num_free: int) -> list[Segment]:
        return self._tuner.ask(num_free)

    def tell(self, event: Event) -> None:
        self._tuner.tell(self._counted(event))

    @property
    def is_done(self) -> bool:
        return self._tuner.is_done

    def ranking(self) -> list[SegmentId]:
        return self._tuner.ranking()

    def needed(self, num_best: int) -> set[SegmentId]:
        return self._tuner.needed(num_best)

    def state(self) -> dict[str, Any]:
        return self._tuner.state()

    def _counted(self, event: Event) -> Event:
        if not isinstance(event, Reported):
            return event
        episodes = tuple(
            dataclasses.replace(episode, return_=counted_return(episode, self._on_exploit))
            for episode in event.report.episodes
        )
        return Reported(dataclasses.replace(event.report, episodes=episodes))
