"""An agent by the formula, which runs segments of any tuner."""

from dataclasses import dataclass, field

import numpy as np

from benchmarks.synthetic_curves.formula import (
    COLLAPSE_FACTOR,
    COLLAPSE_PROBABILITY,
    NOISES,
    SPACE,
    Scenario,
    World,
    draw_world,
    learned,
    noise_deviation,
    suitability,
)
from cartwheel.records import CheckpointId, Episode, Report, Segment, SegmentId
from cartwheel.seeds import numpy_rng

EPISODE_LENGTH = 100
"""Env steps; no tuner looks at it."""


@dataclass(slots=True)
class FormulaAgent:
    """``states``: knowledge and proficiency at the end of each segment. ``performed``: per episode, without noise."""

    scenario: Scenario
    seed: int
    world: World = field(init=False)
    states: dict[SegmentId, tuple[float, float]] = field(default_factory=dict)
    performed: dict[SegmentId, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world = draw_world(self.seed, self.scenario.drift)

    def run(self, segment: Segment, begun: int) -> Report:
        """``begun``: time units that are over when it begins; its first episode runs in the next one."""
        rng = numpy_rng("synthetic-curves", self.seed, "episodes", segment.id)
        size = segment.stop - segment.start
        noise, chances = rng.standard_normal(size).tolist(), rng.random(size).tolist()
        performed = self._performed(segment, begun + segment.start + 1 - segment.first_episode, chances)
        self.performed[segment.id] = performed
        deviation = NOISES[self.scenario.noise]
        episodes = [] if segment.start else [Episode(0, 0.0, EPISODE_LENGTH, is_random=True)]
        for index, (true, e) in enumerate(zip(performed, noise, strict=True), segment.start + 1):
            return_ = true + noise_deviation(true / 100.0, deviation) * e
            episodes.append(Episode(index, return_, EPISODE_LENGTH))
        # a checkpoint is never read: its segment names the state
        return Report(segment.id, "done", tuple(episodes), CheckpointId(segment.id))

    def _performed(self, segment: Segment, before: int, chances: list[float]) -> list[float]:
        """``before``: time units that are over before the first model-driven episode."""
        a, b = self._begun(segment)
        ages = np.arange(segment.start + 1, segment.stop + 1)
        suits, losses = suitability(self.world, SPACE.encode(segment.config), ages)
        rates = self.world.knowledge_rates[ages].tolist()
        performed = []
        episodes = zip(suits.tolist(), losses.tolist(), rates, chances, strict=True)
        for now, (g, loss, rate, chance) in enumerate(episodes, before + 1):
            a, b = learned(a, b, g, loss, (rate, self.world.proficiency_rate))
            if self._collapses(now, chance):
                a, b = COLLAPSE_FACTOR * a, COLLAPSE_FACTOR * b
            performed.append(100.0 * b)
        self.states[segment.id] = (a, b)
        return performed

    def _begun(self, segment: Segment) -> tuple[float, float]:
        """What an agent knows when a segment begins; one whose weights were shrunk knows that much less."""
        a, b = (0.0, 0.0) if segment.parent is None else self.states[segment.parent]
        shrink = 1.0 if segment.shrink_perturb is None else segment.shrink_perturb.shrink
        return shrink * a, shrink * b

    def _collapses(self, now: int, chance: float) -> bool:
        match self.scenario.collapses:
            case "common":
                return now in self.world.common
            case "individual":
                return chance < COLLAPSE_PROBABILITY
            case "off":
                return False
