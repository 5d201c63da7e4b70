"""A study on a clock: lanes side by side, one episode per lane and time unit, and what the study's winner is worth."""

import heapq
from dataclasses import dataclass

from benchmarks.synthetic_curves.agent import FormulaAgent
from benchmarks.synthetic_curves.formula import BUDGET_EPISODES, NUM_LANES
from cartwheel.records import Issued, Reported, Segment, SegmentId
from cartwheel.schedules.schedule import lineage
from cartwheel.tuners.base import Tuner


@dataclass(frozen=True, slots=True)
class Result:
    """``final``, ``area``: true performance of the agent that is ranked first, at the end and over its life.

    ``age``: its model-driven episodes; ``spent_episodes``: those of the whole study, random ones included.
    """

    final: float
    area: float
    age: int
    spent_episodes: int


def run_study(tuner: Tuner, agent: FormulaAgent) -> Result:
    """Run until the tuner is done, or until what it asks for does not fit into the budget.

    Segments that end together report in the order of their trials; then free lanes are filled.
    """
    segments: dict[SegmentId, Segment] = {}
    running: list[tuple[int, int, Segment]] = []
    now, spent_episodes, is_open = 0, 0, True
    while True:
        for segment in tuner.ask(NUM_LANES - len(running)) if is_open else []:
            if spent_episodes + segment.num_episodes > BUDGET_EPISODES:
                is_open = False
                break
            tuner.tell(Issued(segment))
            segments[segment.id] = segment
            spent_episodes += segment.num_episodes
            # a trial runs one segment at a time, so segments themselves are never compared
            heapq.heappush(running, (now + segment.num_episodes, segment.trial, segment))
        if not running:
            return _result(tuner, agent, segments, spent_episodes)
        now = running[0][0]
        while running and running[0][0] == now:
            segment = heapq.heappop(running)[2]
            tuner.tell(Reported(agent.run(segment, now - segment.num_episodes)))


def _result(tuner: Tuner, agent: FormulaAgent, segments: dict[SegmentId, Segment], spent_episodes: int) -> Result:
    winner = tuner.ranking()[0]
    life = [true for part in lineage(segments, winner) for true in agent.performed[part.id]]
    return Result(life[-1], sum(life) / len(life), len(life), spent_episodes)
