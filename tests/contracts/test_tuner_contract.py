"""What every tuner promises, whichever it is. A tuner in the registry is tested here without another line."""

import dataclasses
import json
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartwheel.records import (
    Issued,
    Reported,
    Segment,
    SegmentId,
    Sources,
    Voided,
    event_from_json,
    event_to_json,
    segment_id,
)
from cartwheel.schedules.schedule import Schedule, lineage
from cartwheel.spaces.space import Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.registry import TUNERS
from synthetic import RICH, RICH_SHAPED, Loop, SyntheticAgent, issued, make_or_skip, reports, tell_all

CASES = [(name, {}) for name in TUNERS] + [
    (name, {"preset": preset}) for name, entry in TUNERS.items() for preset in entry.presets
]
CASES += [(name, {"replicates": 3, "aggregate": "iqm"}) for name, entry in TUNERS.items() if not entry.is_dynamic]
# a synchronous, an asynchronous and a tuner of subpopulations; what every tuner does alone is tested alone
CASES += [(name, {"num_shapes": 2}) for name in ("pbt", "pbt-asynchronous", "mf-pbt")]
SYNCHRONOUS = [case for case in CASES if TUNERS[case[0]].is_synchronous]
every_tuner = pytest.mark.parametrize(("name", "chosen"), CASES, ids=str)
every_synchronous_tuner = pytest.mark.parametrize(("name", "chosen"), SYNCHRONOUS, ids=str)

BUDGETS = st.integers(1, 12)
LANES = st.integers(1, 64)
SEEDS = st.integers(0, 2**31 - 1)
TROUBLE = st.sampled_from([0.0, 0.1, 0.6, 1.0])
few = settings(max_examples=12, deadline=None)


def make(name: str, chosen: dict[str, Any], num_episodes: int, seed: int = 7) -> Tuner:
    return make_or_skip(name, chosen, space_of(chosen), seed, num_episodes)


def space_of(chosen: dict[str, Any]) -> Space:
    return RICH_SHAPED if "num_shapes" in chosen else RICH


def loop(tuner: Tuner, seed: int, **kwargs: Any) -> Loop:
    trouble = kwargs.pop("trouble", 0.0)
    return Loop(tuner, SyntheticAgent(RICH, seed, trouble=trouble), order_seed=seed, **kwargs)


def spent(segments: dict[SegmentId, Segment]) -> Counter[int]:
    """Model-driven episodes by trial. A trial that copies or goes back spends on from there, whatever its age."""
    episodes: Counter[int] = Counter()
    for segment in segments.values():
        episodes[segment.trial] += segment.stop - segment.start
    return episodes


@every_tuner
@few
@given(num_episodes=BUDGETS, lanes=LANES, seed=SEEDS, trouble=TROUBLE)
def test_segments_are_sound(
    name: str, chosen: dict[str, Any], num_episodes: int, lanes: int, seed: int, trouble: float
) -> None:
    """Values lie in the space, sources have checkpoints, lineages end at a root, no trial exceeds its budget.

    Static values never change along a lineage.
    """
    run = loop(make(name, chosen, num_episodes), seed, lanes=lanes, trouble=trouble).run()
    segments, ended, space = issued(run.log), {}, space_of(chosen)
    for event in run.log:
        if isinstance(event, Reported):
            ended[event.report.segment] = event.report
        if isinstance(event, Issued) and event.segment.sources is not None:
            sources: Sources = event.segment.sources
            for source in (sources.weights, sources.optimizer, sources.normaliser, sources.replay):
                assert ended[source].checkpoint is not None
            assert segments[sources.weights].stop == event.segment.start
    for segment in segments.values():
        space.check(segment.config)
        root = lineage(segments, segment.id)[0]
        assert root.start == 0
        assert all(segment.config[key] == root.config[key] for key in space.static_names)
        assert all(type(segment.config[key]) is type(value) for key, value in space.default.items())
    assert max(spent(segments).values()) <= num_episodes
    assert run.tuner.ask(64) == []


@every_tuner
@few
@given(num_episodes=BUDGETS, lanes=LANES, seed=SEEDS)
def test_budget_is_used(name: str, chosen: dict[str, Any], num_episodes: int, lanes: int, seed: int) -> None:
    """If nothing fails, somebody has had the whole budget; every agent's schedule is without gaps."""
    run = loop(make(name, chosen, num_episodes), seed, lanes=lanes).run()
    segments = issued(run.log)
    assert max(spent(segments).values()) == num_episodes
    for agent in run.tuner.ranking():
        assert Schedule.from_lineage(lineage(segments, agent)).num_episodes == segments[agent].stop


@every_tuner
@few
@given(num_episodes=BUDGETS, lanes=LANES, seed=SEEDS, trouble=TROUBLE)
def test_replay_equals_live(
    name: str, chosen: dict[str, Any], num_episodes: int, lanes: int, seed: int, trouble: float
) -> None:
    """A fresh tuner told any prefix of the log, out of JSON, knows and asks what the live one did."""
    live, again = make(name, chosen, num_episodes), make(name, chosen, num_episodes)
    run = loop(make(name, chosen, num_episodes), seed, lanes=lanes, trouble=trouble, void_probability=0.1).run(150)
    for k, event in enumerate(run.log):
        assert live.ask(3) == live.ask(3) == again.ask(3)
        live.tell(event)
        again.tell(event_from_json(json.loads(json.dumps(event_to_json(event)))))
        if k % 5 == 0:  # a state takes long to make
            assert again.state() == live.state()
        assert again.is_done == live.is_done
    assert run.tuner.state() == live.state() == again.state()
    assert run.tuner.ranking() == live.ranking()


@every_tuner
@few
@given(num_episodes=BUDGETS, seed=SEEDS, num_events=st.integers(0, 60))
def test_running_segments_run_on_after_a_resume(
    name: str, chosen: dict[str, Any], num_episodes: int, seed: int, num_events: int
) -> None:
    """They are not asked for again, and the study ends as if it had never stopped."""
    run = loop(make(name, chosen, num_episodes), seed, lanes=5).run(num_events)
    resumed = make(name, chosen, num_episodes)
    tell_all(resumed, run.log)
    assert not {segment.id for segment in resumed.ask(10_000)} & issued(run.log).keys()
    rest = Loop(resumed, run.agent, lanes=5, running=dict(run.running), log=list(run.log)).run()
    if TUNERS[name].is_synchronous:
        assert resumed.state() == loop(make(name, chosen, num_episodes), seed, lanes=5).run().tuner.state()
    assert reports(rest.log).keys() == issued(rest.log).keys()


@every_synchronous_tuner
@few
@given(num_episodes=BUDGETS, lanes=LANES, seed=SEEDS, order_seed=SEEDS, trouble=TROUBLE)
def test_order_and_lanes_change_nothing(
    name: str, chosen: dict[str, Any], num_episodes: int, lanes: int, seed: int, order_seed: int, trouble: float
) -> None:
    """A synchronous tuner ends in the same state whatever the number of lanes and the order of completion."""
    one = loop(make(name, chosen, num_episodes), seed, lanes=1, trouble=trouble).run()
    other = loop(make(name, chosen, num_episodes), seed, lanes=lanes, trouble=trouble, void_probability=0.1)
    other.order_seed = order_seed
    assert other.run().tuner.state() == one.tuner.state()


@every_tuner
@few
@given(before=BUDGETS, more=BUDGETS, seed=SEEDS, num_events=st.sampled_from([10, 50, 10_000]))
def test_a_study_can_be_extended(
    name: str, chosen: dict[str, Any], before: int, more: int, seed: int, num_events: int
) -> None:
    """The log of a study, finished or interrupted, folds into a tuner with more episodes, which uses them."""
    run = loop(make(name, chosen, before), seed, lanes=3).run(num_events)
    extended = make(name, chosen, before + more)
    tell_all(extended, run.log)
    assert not extended.is_done
    rest = Loop(extended, run.agent, lanes=3, running=dict(run.running), log=list(run.log)).run()
    assert max(spent(issued(rest.log)).values()) == before + more
    again = make(name, chosen, before + more)
    tell_all(again, rest.log)
    assert again.state() == extended.state()
    assert again.is_done


@every_tuner
@few
@given(num_episodes=BUDGETS, seed=SEEDS, trouble=TROUBLE)
def test_ranking_is_by_score(name: str, chosen: dict[str, Any], num_episodes: int, seed: int, trouble: float) -> None:
    """Best first, -inf last, ties to the older trial; each trial once, at its newest checkpoint.

    A tuner that stops trials early puts who trained for longer first. Replicates rank together.
    """
    run = loop(make(name, chosen, num_episodes), seed, trouble=trouble).run()
    segments, ended = issued(run.log), reports(run.log)
    ranking, num = run.tuner.ranking(), chosen.get("replicates", 1)
    done = [segment for segment in segments.values() if ended[segment.id].status == "done"]
    newest = {segment.trial: segment.id for segment in sorted(done, key=lambda segment: segment.index)}
    assert sorted(ranking) == sorted(newest.values())

    def own_score(trial: int, index: int) -> float:
        if (last := segments.get(segment_id(trial, index))) not in done:
            return -math.inf
        chain = lineage(segments, last.id)
        returns = [e.return_ for part in chain for e in ended[part.id].episodes if e.index > 0][-3:]
        return sum(returns) / len(returns) if all(map(math.isfinite, returns)) else -math.inf

    def place(trial: int) -> tuple[float, ...]:
        group = range(trial - trial % num, trial - trial % num + num)
        last = max((segments[newest[own]] for own in group if own in newest), key=lambda segment: segment.index)
        scores = sorted(own_score(own, last.index) for own in group)
        score = scores[0] if num == 1 else (0.25 * scores[0] + scores[1] + 0.25 * scores[2]) / 1.5
        age = -last.stop if TUNERS[name].stops_early and math.isfinite(score) else 0
        return age, -score, trial

    keys = [place(segments[best].trial) for best in ranking]
    assert keys == sorted(keys)


@every_tuner
@few
@given(num_episodes=BUDGETS, lanes=LANES, seed=SEEDS, num_best=st.integers(1, 4))
def test_what_is_not_needed_is_never_asked_for(
    name: str, chosen: dict[str, Any], num_episodes: int, lanes: int, seed: int, num_best: int
) -> None:
    """Neither to start from nor as one of the best in the end; and once not needed is never needed."""
    run = loop(make(name, chosen, num_episodes), seed, lanes=lanes).run()
    tuner, done, dropped = make(name, chosen, num_episodes), set[SegmentId](), set[SegmentId]()
    for event in run.log:
        if isinstance(event, Issued) and event.segment.sources is not None:
            assert not dropped.intersection(dataclasses.astuple(event.segment.sources))
        tuner.tell(event)
        if isinstance(event, Reported):
            done.add(event.report.segment)
        needed = tuner.needed(num_best)
        assert needed <= done
        assert not needed & dropped
        dropped |= done - needed
    assert tuner.needed(num_best) == set(tuner.ranking()[:num_best])


@every_tuner
@few
@given(num_episodes=BUDGETS, seed=SEEDS, trouble=TROUBLE, num_events=st.integers(0, 60))
def test_what_may_be_asked_for_next_is_needed(
    name: str, chosen: dict[str, Any], num_episodes: int, seed: int, trouble: float, num_events: int
) -> None:
    """Also where segments fail: what begins next, and whatever may turn out as the best once all that runs fails."""
    run = loop(make(name, chosen, num_episodes), seed, trouble=trouble, lanes=5).run(num_events)
    needed = run.tuner.needed(3)
    for segment in run.tuner.ask(10_000):
        assert segment.sources is None or needed.issuperset(dataclasses.astuple(segment.sources))
    before = {id_ for id_, report in reports(run.log).items() if report.status == "done"}
    rest = Loop(run.tuner, SyntheticAgent(RICH, seed, trouble=1.0, skills=run.agent.skills), 5, 0, 0.0, run.running)
    assert needed.issuperset(before.intersection(rest.run().tuner.ranking()[:3]))


@every_tuner
def test_ask_gives_at_most_what_is_free(name: str, chosen: dict[str, Any]) -> None:
    tuner = make(name, chosen, 6)
    assert tuner.ask(0) == []
    assert [len(tuner.ask(n)) for n in (1, 2, 3)] == [1, 2, 3]
    assert tuner.ask(3)[:2] == tuner.ask(2)


@pytest.mark.parametrize(("name", "chosen"), [case for case in CASES if TUNERS[case[0]].is_seeded], ids=str)
def test_seed_decides_the_configs(name: str, chosen: dict[str, Any]) -> None:
    assert make(name, chosen, 6, seed=1).ask(4) == make(name, chosen, 6, seed=1).ask(4)
    assert make(name, chosen, 6, seed=1).ask(4) != make(name, chosen, 6, seed=2).ask(4)


@every_tuner
def test_state_is_strict_json(name: str, chosen: dict[str, Any]) -> None:
    """Even after NaN and infinite returns."""
    run = loop(make(name, chosen, 6), seed=3, trouble=0.8).run()
    state = run.tuner.state()
    assert json.loads(json.dumps(state, allow_nan=False)) == state


@every_tuner
def test_events_out_of_order_are_refused(name: str, chosen: dict[str, Any]) -> None:
    """A refused event changes nothing."""
    tuner = make(name, chosen, 6)
    first, second = tuner.ask(2)
    agent = SyntheticAgent(RICH)
    tuner.tell(Issued(first))
    elsewhere = dataclasses.replace(second, config={**second.config, "num_epochs": 10**6})
    stranger = dataclasses.replace(second, trial=10**6)
    too_long = dataclasses.replace(second, stop=10**6)
    orphan = dataclasses.replace(second, start=1, stop=2, sources=Sources.whole(first.id))
    half = dataclasses.replace(agent.run(first), episodes=agent.run(first).episodes[:-1])
    before = tuner.state()
    wrong = [Issued(s) for s in (first, elsewhere, stranger, too_long, orphan)] + [
        Reported(agent.run(second)),
        Reported(half),
        Voided(second.id),
        Voided(segment_id(10**6, 0)),
    ]
    for event in wrong:
        with pytest.raises(ValueError, match=r"segment|parameter"):
            tuner.tell(event)
        assert tuner.state() == before
    tuner.tell(Reported(agent.run(first)))
    with pytest.raises(ValueError, match="already done"):
        tuner.tell(Reported(agent.run(first)))


@every_tuner
def test_a_voided_segment_is_asked_for_again(name: str, chosen: dict[str, Any]) -> None:
    tuner = make(name, chosen, 6)
    asked = tuner.ask(3)
    tuner.tell(Issued(asked[1]))
    assert tuner.ask(2) == [asked[0], asked[2]]
    tuner.tell(Voided(asked[1].id))
    assert tuner.ask(3) == asked
