"""The engine: what a lane computes is its own, whatever its slot, its neighbours and its device."""

import dataclasses
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
import scipy.stats

import fragile
from cartwheel.agents.pets.agent import PetsState
from cartwheel.agents.pets.arrays import to_arrays
from cartwheel.agents.pets.hypers import IcemHypers, ModelHypers
from cartwheel.engines.engine import Engine, EpisodeJob, EpisodeResult
from cartwheel.engines.rollouts import Abandoned, Failure
from cartwheel.envs.making import CannotMake
from cartwheel.envs.tasks import Task
from cartwheel.seeds import seed_integer
from hand_made import CHANGES, TINY

CONFIG = fragile.CONFIG
LARGER = {**CONFIG, "plan_horizon": 5, "num_iterations": 3, "num_samples": 16, "num_epochs": 9}


def make_engine(num_lanes: int, device: int = 0) -> Engine:
    return Engine(fragile.TASK, TINY, num_lanes, jax.devices()[device])


@pytest.fixture(scope="session")
def pair() -> Iterator[Engine]:
    """Two lanes on the first device."""
    engine = make_engine(2)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Engine]:
    """Two lanes on the second device."""
    engine = make_engine(2, device=1)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def single() -> Iterator[Engine]:
    """One lane on the first device."""
    engine = make_engine(1)
    yield engine
    engine.close()


def job(index: int, config: Any = CONFIG, name: str = "a", learns: bool = True) -> EpisodeJob:
    return EpisodeJob(config, ("test", name), index, is_random=index == 0, learns=learns)


Life = tuple[dict[str, np.ndarray], list[EpisodeResult]]


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """Agent "b": its config, by how many episodes it is older, and its state unless it is a fresh one."""

    config: Any = dataclasses.field(default_factory=lambda: CONFIG)
    older: int = 1
    state: PetsState | None = None


def live(
    engine: Engine, lane: int, num_episodes: int = 3, config: Any = CONFIG, beside: Neighbour | None = None
) -> Life:
    """Agent "a" lives in a lane beside an optional neighbour: its arrays afterwards, and its episodes."""
    engine.load(lane, engine.fresh(("test", "a")))
    if beside is not None:
        engine.load(1 - lane, beside.state or engine.fresh(("test", "b")))
    results = []
    for index in range(num_episodes):
        jobs = {lane: job(index, config)}
        if beside is not None:
            jobs[1 - lane] = job(index + beside.older, beside.config, name="b")
        results.append(engine.run_episode(jobs)[lane])
    return to_arrays(engine.snapshot([lane])[lane]), results


def assert_same(one: Life, two: Life) -> None:
    """Bit for bit: weights, optimizer, normaliser, transitions, returns, losses."""
    for name, array in one[0].items():
        assert array.tobytes() == two[0][name].tobytes(), name
    for a, b in zip(one[1], two[1], strict=True):
        for x, y in zip(jax.tree.leaves(a.transitions), jax.tree.leaves(b.transitions), strict=True):
            assert x.tobytes() == y.tobytes()
        assert (a.episode.return_, a.episode.metrics) == (b.episode.return_, b.episode.metrics)


def assert_different(one: Life, two: Life) -> None:
    """Weights or actions."""
    weights = any(one[0][name].tobytes() != two[0][name].tobytes() for name in one[0])
    actions = any(
        a.transitions.action.tobytes() != b.transitions.action.tobytes() for a, b in zip(one[1], two[1], strict=True)
    )
    assert weights or actions


@pytest.fixture(scope="session")
def alone(pair: Engine) -> Life:
    """Agent "a" in the first lane, the second lane idle."""
    return live(pair, 0)


def test_a_life_repeats(pair: Engine, alone: Life) -> None:
    """The same names give the same agent again, bit for bit, whatever the engine did in between."""
    live(pair, 0, config=LARGER)
    assert_same(live(pair, 0), alone)
    assert np.isfinite([result.episode.return_ for result in alone[1]]).all()
    assert not np.array_equal(alone[1][0].transitions.action, alone[1][1].transitions.action)


def test_the_slot_changes_nothing(pair: Engine, alone: Life) -> None:
    """An agent in the second lane is the agent in the first lane."""
    assert_same(live(pair, 1), alone)


def test_a_neighbour_changes_nothing(pair: Engine, alone: Life) -> None:
    """Neither does a neighbour at another age, in either slot."""
    assert_same(live(pair, 0, beside=Neighbour(older=2)), alone)
    assert_same(live(pair, 1, beside=Neighbour(older=0)), alone)


def test_a_larger_neighbour_changes_nothing(pair: Engine, alone: Life) -> None:
    """Longer plans, more samples, iterations, epochs beside it: the same bits."""
    assert_same(live(pair, 0, beside=Neighbour(config=LARGER)), alone)


def sick(state: PetsState) -> PetsState:
    """The same agent with NaN for every real number."""

    def spoil(leaf: np.ndarray) -> np.ndarray:
        return np.full_like(leaf, np.nan) if leaf.dtype == np.float32 else leaf

    return jax.tree.map(spoil, state)


def test_a_sick_neighbour_changes_nothing(pair: Engine, alone: Life) -> None:
    """A neighbour whose every number is NaN is told diverged, and nobody else notices."""
    assert_same(live(pair, 0, beside=Neighbour(state=sick(pair.fresh(("test", "b"))))), alone)
    pair.load(0, pair.fresh(("test", "a")))
    pair.load(1, sick(pair.fresh(("test", "b"))))
    results = pair.run_episode({0: job(0), 1: job(1, name="b")})
    assert not results[0].failure
    assert results[1].failure == Failure("non_finite_training", "the model's weights are not finite")


def test_the_device_changes_nothing(elsewhere: Engine, alone: Life) -> None:
    """Another device of the same kind computes the same bits."""
    assert_same(live(elsewhere, 1), alone)


def test_another_width_is_the_same_agent_to_rounding(pair: Engine, single: Engine) -> None:
    """A program of one lane agrees with one of two lanes to 1e-5, over one fit and one planned step."""
    two, one = live(pair, 0, num_episodes=1), live(single, 0, num_episodes=1)
    assert np.array_equal(two[1][0].transitions.action, one[1][0].transitions.action)
    for name, array in two[0].items():
        np.testing.assert_allclose(array, one[0][name], atol=1e-5, err_msg=name)
    steps = [engine.run_episode({0: job(1)})[0].transitions.action[0] for engine in (pair, single)]
    np.testing.assert_allclose(steps[0], steps[1], atol=1e-5)


def test_an_evaluation_leaves_the_agent_alone(pair: Engine) -> None:
    """An episode that does not learn changes no array and counts no row."""
    live(pair, 0, num_episodes=2)
    before = pair.snapshot([0])[0]
    result = pair.run_episode({0: job(2, learns=False)})[0]
    after = pair.snapshot([0])[0]
    assert result.episode.metrics == {}
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert np.array_equal(a, b)


def test_transitions_are_what_happened(pair: Engine) -> None:
    """Rows chain, actions stay in bounds, the return is the sum of the task's rewards, the buffer counts the rows."""
    _, results = live(pair, 0, num_episodes=3)
    for result in results:
        rows = result.transitions
        assert np.array_equal(rows.obs[1:], rows.next_obs[:-1])
        assert np.abs(rows.action).max() <= 1.0
        paid = sum(-0.001 * float(x) ** 2 for x in rows.next_obs[:, 0])
        assert result.episode.return_ == pytest.approx(paid, rel=1e-5)
        assert result.episode.length == len(rows.obs) == fragile.TASK.episode_length
    assert int(pair.snapshot([0])[0].replay.num_rows) == 3 * fragile.TASK.episode_length


def test_diagnostics_are_recorded_where_they_mean_something(alone: Life) -> None:
    """Every fit says what it can, in finite numbers; a random episode has no plans, a short one no far future."""
    always = {"model_loss", "train_nll", "unseen_nll", "coverage_50", "coverage_90", "disagreement"}
    always |= {"error_1_ahead", "error_5_ahead"}
    for index, result in enumerate(alone[1]):
        planned = {"plan_return", "plan_return_error"} if index > 0 else set[str]()
        assert result.episode.metrics.keys() == always | planned
        assert np.isfinite(list(result.episode.metrics.values())).all()


def test_random_actions_are_uniform(pair: Engine) -> None:
    """The first episode's actions fill the whole range evenly, one agent's unlike another's (false alarm 1e-6)."""
    actions = []
    for i in range(40):
        results = pair.run_episode({lane: job(0, name=f"r{i}-{lane}", learns=False) for lane in (0, 1)})
        actions += [result.transitions.action[:, 0] for result in results.values()]
    assert len({one.tobytes() for one in actions}) == len(actions)
    assert scipy.stats.kstest(np.concatenate(actions), scipy.stats.uniform(-1, 2).cdf).pvalue > 1e-6


def test_a_broken_environment_fails_its_own_lane_only(pair: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lane keeps its state and says what broke; the neighbour finishes and learns."""
    seed = seed_integer("test", "a", 1, "reset")
    live(pair, 0, num_episodes=1)
    monkeypatch.setattr(fragile.Fragile, "breaking_seeds", {seed})
    pair.load(1, pair.fresh(("test", "b")))
    before = to_arrays(pair.snapshot([0])[0])
    results = pair.run_episode({0: job(1), 1: job(0, name="b")})
    assert results[0].failure is not None
    assert results[0].failure.kind == "environment_error"
    assert "tests/Fragile-v0: step 3 raised RuntimeError" in results[0].failure.reason
    assert results[0].episode.length == 2
    for name, array in to_arrays(pair.snapshot([0])[0]).items():
        assert np.array_equal(array, before[name])
    assert not results[1].failure
    assert results[1].episode.length == fragile.TASK.episode_length


def test_a_full_buffer_is_an_error(pair: Engine) -> None:
    """An episode that does not fit is refused, not written over older ones."""
    live(pair, 0, num_episodes=TINY.capacity // fragile.TASK.episode_length)
    with pytest.raises(ValueError, match="the buffer holds 48 transitions, 48 are in it"):
        pair.run_episode({0: job(8)})


def test_stopping_abandons_the_episode(pair: Engine) -> None:
    """A stop is heard between two environment steps."""
    pair.load(0, pair.fresh(("test", "a")))
    answers = iter([False, False, True])
    with pytest.raises(Abandoned):
        pair.run_episode({0: job(0)}, lambda: next(answers))
    assert next(answers, None) is None


def test_nothing_compiles_once_an_engine_is_built(pair: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """One compilation per cohort shape: not for other hypers, other ages, other lanes, nor for any helper."""
    configs = [CONFIG, LARGER, {name: CHANGES[name][1] for name in names(ModelHypers, IcemHypers)}]
    live(pair, 0, num_episodes=2)
    compiled = list[str]()

    def listen(event: str, duration: float, **_: Any) -> None:
        if "compile" in event or "trace" in event:
            compiled.append(f"{event} {duration}")

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        with caplog.at_level(logging.WARNING), jax.log_compiles():
            for i, config in enumerate(configs):
                pair.load(i % 2, pair.fresh(("test", f"c{i}")))
                for index in range(3):
                    pair.run_episode({i % 2: job(index, config), 1 - i % 2: job(index + 1, LARGER, "d", index != 1)})
                pair.snapshot([0, 1])
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == []
    assert not caplog.records


def names(*kinds: type) -> list[str]:
    return [field.name for kind in kinds for field in dataclasses.fields(kind)]


def changed(engine: Engine, name: str, kinds: list[str]) -> None:
    base = {known: CHANGES[known][0] for known in kinds}
    one = live(engine, 0, config=base)
    assert_same(live(engine, 0, config=base), one)
    assert_different(live(engine, 0, config={**base, name: CHANGES[name][1]}), one)


@pytest.mark.parametrize("name", names(ModelHypers, IcemHypers))
def test_no_knob_is_dead(pair: Engine, name: str) -> None:
    """Changing any one hyperparameter changes what the agent does or what it becomes.

    Here those of the model and of the default planner; those of every planner in ``test_planner.py``.
    """
    changed(pair, name, names(ModelHypers, IcemHypers))


def test_an_engine_that_cannot_be_made_leaves_no_environment_behind() -> None:
    """They may be processes. The second one fails."""
    made: list[Any] = []

    def make(task: Task) -> Any:
        if made:
            raise CannotMake("no second one")
        made.append(SimpleNamespace(is_closed=False))
        made[0].close = lambda: setattr(made[0], "is_closed", True)
        return made[0]

    with pytest.raises(CannotMake):
        Engine(fragile.TASK, TINY, 2, make=make)
    assert made[0].is_closed
