"""Train one agent in a run folder of its own, and say what each episode returned and cost in CPU time."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cartwheel
from cartwheel.observer import Observer
from cartwheel.records import Episode, Evaluation, Segment
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.spec import parse_spec
from cartwheel.tuning import Running, train

Row = Mapping[str, Any]


@dataclass
class CpuClock(Observer):
    """CPU seconds of this process by episode: on a shared machine the wall says little."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    since: float = field(default_factory=time.process_time)

    def on_episode(self, item: Segment | Evaluation, episode: Episode) -> None:
        now = time.process_time()
        kind = "evaluation" if isinstance(item, Evaluation) else "random" if episode.is_random else "training"
        self.rows.append(
            {
                "kind": kind,
                "episode": episode.index,
                "return": round(episode.return_, 4),
                "cpu_s": round(now - self.since, 2),
                "warnings": sum(episode.warnings.values()),
            }
        )
        self.since = now


def train_agent(folder: Path, settings: Mapping[str, Any], config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a training under ``config`` on the study ``settings``, begun anew in ``folder``.

    The random episode, the training episodes, and ``validation.num_episodes`` evaluations at the end. The first row
    holds the compilation too.
    """
    spec = parse_spec({**settings, "engine": {"lanes": 1}}, {}, "the benchmark")
    clock = CpuClock()  # type: ignore[abstract] # of a protocol: what it is not told, it does not need
    schedule = Schedule((Piece(0, spec.num_episodes, dict(config)),))
    study = train(spec, schedule, folder, Running(observers=[clock]))
    assert isinstance(study, cartwheel.Study)
    return clock.rows
