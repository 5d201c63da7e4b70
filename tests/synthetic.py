"""A learning curve in place of an agent, and a loop in place of a study: for tests of whatever decides.

Skill moves towards what the config allows, and what is best drifts with the agent's age, as learning rates do. It is a
function of (world seed, config, episode, skill before), so results depend on nothing else.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from cartwheel.records import (
    CheckpointId,
    Config,
    Episode,
    Event,
    Issued,
    Report,
    Reported,
    Segment,
    SegmentId,
    Voided,
)
from cartwheel.seeds import numpy_rng
from cartwheel.spaces.space import Choice, Float, Int, Ordinal, Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.models.optuna_samplers import MissingPackage
from cartwheel.tuners.registry import make_tuner

LENGTH = 100
MIXED = Space.from_dict(
    {
        "learning_rate": {"kind": "float", "low": 1e-5, "high": 1e-2, "log": True, "default": 1e-3, "group": "model"},
        "num_epochs": {"kind": "int", "low": 1, "high": 20, "default": 5, "group": "model"},
        "num_samples": {"kind": "int", "low": 16, "high": 96, "log": True, "default": 48, "group": "planner"},
        "propagation": {"kind": "choice", "values": ["tsinf", "ts1", "e"], "default": "tsinf", "group": "planner"},
    }
)
"""Numbers and a choice."""
SHAPED = Space({**MIXED.parameters, "width": Int(10, 20, default=10, group="model", is_static=True)})
"""With one that cannot change while an agent trains."""
RICH = Space(
    {
        **MIXED.parameters,
        "planner": Choice(("icem", "cem"), default="icem", group="planner", weights=(0.6, 0.4)),
        "noise_exponent": Float(
            0.0, 4.0, default=2.0, group="planner", prior_std=0.3, active_if={"planner": ("icem",)}
        ),
        "batch_size": Ordinal((16, 32, 64, 128), default=32, group="model"),
        "num_kept": Int(1, 5, default=2, group="planner", active_if={"planner": ("icem",), "batch_size": (32, 64)}),
    }
)
"""Every kind of parameter, with priors and conditions."""
RICH_SHAPED = Space(
    {
        "num_layers": Int(2, 8, default=3, group="model", is_static=True),
        "activation": Choice(("relu", "swish"), default="swish", group="model", is_static=True),
        "is_narrow": Choice(
            (True, False), default=False, group="model", is_static=True, active_if={"num_layers": (7, 8)}
        ),
        "slope": Float(0.0, 1.0, default=0.1, group="model", active_if={"activation": ("relu",)}),
        **RICH.parameters,
    }
)
"""With static ones too, and conditions on them."""
PLAIN = Space(
    {
        "horizon": Int(5, 40, default=25, group="planner"),
        "alpha": Float(0.0, 0.4, default=0.1, group="planner"),
    }
)


def learn(space: Space, config: Config, episode: int, skill: float) -> float:
    """Skill after an episode: 30% closer to how near the config is to the best one, which drifts from 0.8 to 0.2.

    What is not in ``space`` has no effect.
    """
    best = 0.8 - 0.6 * min(episode, 20) / 20
    ceiling = 1.0 - float(np.abs(space.encode({name: config[name] for name in space.names}) - best).mean())
    return skill + 0.3 * (ceiling - skill)


def digest(segment: SegmentId) -> CheckpointId:
    return CheckpointId(hashlib.sha256(segment.encode()).hexdigest())


@dataclass
class SyntheticAgent:
    """Runs segments of any tuner. ``trouble``: share of segments that fail, diverge, or return NaN or -inf."""

    space: Space
    seed: int = 0
    noise: float = 1.0
    trouble: float = 0.0
    skills: dict[SegmentId, float] = field(default_factory=dict)

    def run(self, segment: Segment) -> Report:
        fate = numpy_rng(self.seed, "fate", segment.id)
        is_troubled = fate.random() < self.trouble
        kind = fate.choice(["failed", "diverged", "nan", "-inf"]) if is_troubled else "done"
        episodes = self._episodes(segment, {"nan": math.nan, "-inf": -math.inf}.get(kind, 0.0))
        if kind in ("failed", "diverged"):
            return Report(segment.id, kind, episodes[: len(episodes) // 2], None, reason="as asked")
        return Report(segment.id, "done", episodes, digest(segment.id))

    def _episodes(self, segment: Segment, spoiled: float) -> tuple[Episode, ...]:
        skill = self.skills[segment.parent] if segment.parent is not None else 0.0
        episodes = []
        for index in range(segment.first_episode, segment.stop + 1):
            is_random = index == 0
            skill = skill if is_random else learn(self.space, segment.config, index, skill)
            noise = self.noise * numpy_rng(self.seed, "noise", segment.id, index).standard_normal()
            # whoever scores the random episode is found out: it is by far the best
            return_ = 1e6 if is_random else 100.0 * skill + noise + spoiled
            episodes.append(Episode(index, float(return_), LENGTH, is_random=is_random))
        self.skills[segment.id] = skill
        return tuple(episodes)


def constant(segment: Segment, return_: float) -> Report:
    """A done report whose every episode returned the same."""
    indices = range(segment.first_episode, segment.stop + 1)
    episodes = tuple(Episode(index, return_, LENGTH, is_random=index == 0) for index in indices)
    return Report(segment.id, "done", episodes, digest(segment.id))


def failed(segment: Segment) -> Report:
    return Report(segment.id, "failed", (), None, reason="as asked")


def make_or_skip(name: str, chosen: Mapping[str, Any], space: Space, seed: int, num_episodes: int) -> Tuner:
    """As ``make_tuner``; skips the test if what the tuner needs is not installed."""
    try:
        return make_tuner(name, chosen, space, seed, num_episodes)
    except MissingPackage as missing:
        pytest.skip(str(missing))


def tell_all(tuner: Tuner, events: Iterable[Event]) -> None:
    for event in events:
        tuner.tell(event)


@dataclass
class Loop:
    """A study in small: ``lanes`` segments at a time; which one ends next is drawn, and at times one is taken back."""

    tuner: Tuner
    agent: SyntheticAgent
    lanes: int = 4
    order_seed: int = 0
    void_probability: float = 0.0
    running: dict[SegmentId, Segment] = field(default_factory=dict)
    log: list[Event] = field(default_factory=list)

    def tell(self, event: Event) -> None:
        self.log.append(event)
        self.tuner.tell(event)

    def step(self, rng: np.random.Generator) -> None:
        for segment in self.tuner.ask(self.lanes - len(self.running)):
            self.running[segment.id] = segment
            self.tell(Issued(segment))
        chosen = self.running.pop(sorted(self.running)[rng.integers(len(self.running))])
        voided = rng.random() < self.void_probability
        self.tell(Voided(chosen.id) if voided else Reported(self.agent.run(chosen)))

    def run(self, max_events: int = 100_000) -> "Loop":
        rng = np.random.default_rng(self.order_seed)
        while not self.tuner.is_done and len(self.log) < max_events:
            self.step(rng)
        return self


def issued(log: Iterable[Event]) -> dict[SegmentId, Segment]:
    """The segments of a log that were not voided, by id."""
    segments: dict[SegmentId, Segment] = {}
    for event in log:
        match event:
            case Issued(segment):
                segments[segment.id] = segment
            case Voided(segment_id):
                del segments[segment_id]
    return segments


def reports(log: Iterable[Event]) -> dict[SegmentId, Report]:
    return {event.report.segment: event.report for event in log if isinstance(event, Reported)}
