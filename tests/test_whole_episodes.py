"""Episodes that are one program, beside the same played step by step in the environment."""

import dataclasses
import math
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.backend import AgentBackend
from cartwheel.engines.engine import Engine, EpisodeJob, EpisodeResult, MakeEnv
from cartwheel.engines.rollouts import Abandoned, Failure
from cartwheel.envs import probes, tasks
from cartwheel.envs.formula import FormulaEnv, formula_or_env
from cartwheel.envs.isolated import EnvMaker, Isolate
from cartwheel.envs.pool import WatchedEnv, make_env
from cartwheel.envs.task import Task
from cartwheel.errors import ConfigError
from cartwheel.spec import StudySpec
from cartwheel.tuning import Running, tune
from fragile import CONFIG
from hand_made import TINY
from one_program import SETTINGS

INSIDE = EnvMaker("none")
MAKERS: dict[bool, MakeEnv] = {False: INSIDE, True: partial(formula_or_env, INSIDE)}
FORMULAS = [
    task for task in (*map(tasks.get_task, tasks.task_ids()), *(p.task for p in probes.PROBES)) if task.is_formula
]
# falls after some ten steps, others before others
POLE = dataclasses.replace(tasks.CARTPOLE_BALANCE, id="pole", episode_length=24)
SHAPE = dataclasses.replace(TINY, capacity=120)


@pytest.fixture(autouse=True)
def _probes() -> None:
    probes.register()


def test_which_tasks_are_formulas() -> None:
    ids = {task.id for task in FORMULAS if not task.id.startswith("probe-")}
    assert ids == {"Pendulum-v1", "MountainCarContinuous-v0", "cartpole-balance", "line"}
    assert not tasks.CARTPOLE_SWINGUP.is_formula
    assert not dataclasses.replace(tasks.LINE, reward=None).is_formula


@pytest.mark.parametrize("task", FORMULAS, ids=lambda task: task.id)
def test_equations_are_the_environment(task: Task) -> None:
    """In NumPy and in JAX, one vector or many, from states on the way of a random episode."""
    assert task.equations is not None
    env, rng = make_env(task), np.random.default_rng(7)
    obs = env.reset(7)
    for _ in range(min(task.episode_length, 60)):
        action = rng.uniform(task.action_low, task.action_high).astype(np.float32)
        after, _, _ = env.step(action)
        np.testing.assert_allclose(task.equations(obs, action, np), after, atol=2e-6)
        many = task.equations(jnp.tile(obs, (3, 1)), jnp.tile(action, (3, 1)), jnp)
        np.testing.assert_allclose(many, np.tile(after, (3, 1)), atol=2e-6)
        obs = after
        if env.is_over:
            break
    env.close()


def engine_of(task: Task, plays_whole: bool, shape: PetsShape = SHAPE) -> Engine:
    return Engine(task, shape, 2, jax.devices()[0], MAKERS[plays_whole])


def job(index: int, name: str = "a") -> EpisodeJob:
    return EpisodeJob(CONFIG, ("whole", name), index, is_random=index == 0)


def life(engine: Engine, names: str = "ab", num_episodes: int = 3) -> list[dict[int, EpisodeResult]]:
    """Agents of these names live beside each other."""
    for lane, name in enumerate(names):
        engine.load(lane, engine.fresh(("whole", name)))
    jobs = [{lane: job(index, name) for lane, name in enumerate(names)} for index in range(num_episodes)]
    return [engine.run_episode(all_) for all_ in jobs]


@pytest.fixture(scope="module")
def whole() -> Engine:
    return engine_of(POLE, plays_whole=True)


@pytest.fixture(scope="module")
def stepped() -> Engine:
    return engine_of(POLE, plays_whole=False)


def test_it_is_what_steps_would_have_been(whole: Engine, stepped: Engine) -> None:
    """Rows, ends, returns, the plans that are judged and what is learned, to float32's rounding."""
    expected, found = life(stepped, num_episodes=2), life(whole, num_episodes=2)
    assert len({result.episode.length for results in expected for result in results.values()}) > 1
    for one, other in zip(expected, found, strict=True):
        for lane in (0, 1):
            a, b = one[lane], other[lane]
            assert (a.failure, b.failure) == (None, None)
            assert (a.episode.length, a.episode.return_) == (b.episode.length, b.episode.return_)
            for x, y in zip(jax.tree.leaves(a.transitions), jax.tree.leaves(b.transitions), strict=True):
                np.testing.assert_allclose(x, y, atol=2e-4)
            assert a.episode.metrics.keys() == b.episode.metrics.keys()
            for name, value in a.episode.metrics.items():
                assert b.episode.metrics[name] == pytest.approx(value, rel=0.05, abs=0.02), name


def test_a_neighbour_changes_nothing(whole: Engine) -> None:
    """Bit for bit, also where it plays on for longer."""
    together, alone = life(whole, "ab"), life(whole, "a")
    assert any(results[0].episode.length < results[1].episode.length for results in together)
    for one, other in zip(together, alone, strict=True):
        for x, y in zip(*(jax.tree.leaves(r[0].transitions) for r in (one, other)), strict=True):
            assert x.tobytes() == y.tobytes()
        assert one[0].episode.metrics == other[0].episode.metrics


def test_there_are_pauses_to_stop_in(whole: Engine) -> None:
    """Few, and whether they are long changes no bit; who stops gets no episode."""
    whole.load(0, whole.fresh(("whole", "a")))
    asked: list[int] = []
    result = whole.run_episode({0: job(1)}, lambda: bool(asked.append(whole.num_steps)))[0]
    assert whole.num_steps - asked[0] == result.episode.length
    assert [steps - asked[0] for steps in asked] == [0, 1, 3, 7, 15][: len(asked)]
    assert result.episode.length > 3
    whole.load(0, whole.fresh(("whole", "a")))
    with pytest.raises(Abandoned):
        whole.run_episode({0: job(1)}, iter([False, False, True]).__next__)


def test_slow_steps_are_asked_after_one_by_one(whole: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same episode, bit for bit, in other pieces."""
    once = life(whole, "a", 2)[1][0]
    monkeypatch.setattr("cartwheel.engines.engine.POLL_S", 0.0)
    asked: list[int] = []
    whole.load(0, whole.fresh(("whole", "a")))
    whole.run_episode({0: job(0)})
    again = whole.run_episode({0: job(1)}, lambda: bool(asked.append(1)))[0]
    assert len(asked) == again.episode.length
    for x, y in zip(*(jax.tree.leaves(r.transitions) for r in (once, again)), strict=True):
        assert x.tobytes() == y.tobytes()


def test_a_wild_action_ends_its_lane(whole: Engine, stepped: Engine) -> None:
    """As it does step by step: the model's failure, and the neighbour plays on."""
    for engine in (whole, stepped):
        engine.load(0, engine.fresh(("whole", "a")))
        engine.load(1, engine.fresh(("whole", "b")))
        wild = dataclasses.replace(job(1), config={**CONFIG, "initial_std": math.nan})
        results = engine.run_episode({0: wild, 1: job(1, "b")})
        assert results[0].failure == Failure("diverged_model", "step 1: the planned action is not finite")
        assert (results[0].episode.length, results[0].episode.return_) == (0, 0.0)
        assert results[1].failure is None
        assert results[1].episode.length > 3


def breaking(obs: Any, action: Any, xp: Any) -> Any:
    """A pole that is lost in its fourth step."""
    after = tasks.CARTPOLE_BALANCE.equations(obs, action, xp)
    return xp.concatenate([after[..., :1] + 1.0, xp.where(obs[..., :1] > 2.5, xp.nan, after[..., 1:])], axis=-1)


def test_physics_is_watched(whole: Engine) -> None:
    """What is not finite fails the episode where it came, as in an environment."""
    never = tasks.PENDULUM.terminated
    task = dataclasses.replace(POLE, equations=breaking, terminated=never, reward_bound=0.5)
    engine = engine_of(task, plays_whole=True)
    result = engine.run_episode({0: job(0)})[0]
    assert result.failure is not None
    assert result.failure.kind == "unstable_physics"
    assert "step 4 returned a value that is not finite" in result.failure.reason
    assert (result.episode.length, result.episode.return_) == (3, 3.0)
    assert result.episode.warnings["reward_out_of_bounds"] == 4
    assert whole.run_episode({0: job(0)})[0].episode.warnings == {}


def test_an_episode_of_one_step() -> None:
    """One lane, one step: what is done is what is paid for."""
    engine = Engine(probes.BANDIT.task, TINY, 1, jax.devices()[0], MAKERS[True])
    engine.load(0, engine.fresh(("whole", "a")))
    result = engine.run_episode({0: job(1)})[0]
    assert (result.episode.length, engine.num_steps) == (1, 1)
    assert result.episode.return_ == pytest.approx(-((result.transitions.action.item() - 0.7) ** 2), rel=1e-5)


@pytest.mark.parametrize("isolate", ["none", "all"])
def test_an_episode_begins_in_the_environment(isolate: Isolate) -> None:
    """Also in one of a process of its own; what has no formula is stepped."""
    env, plain = formula_or_env(EnvMaker(isolate), tasks.PENDULUM), make_env(tasks.PENDULUM)
    assert isinstance(env, FormulaEnv)
    assert env.reset(3).tobytes() == plain.reset(3).tobytes()
    env.close()
    stepped = formula_or_env(EnvMaker("none"), tasks.CARTPOLE_SWINGUP)
    assert not isinstance(stepped, FormulaEnv)
    stepped.close()


@pytest.mark.slow  # two programs for two devices
def test_a_plan_that_is_spread_plays_whole_too() -> None:
    """To float32's rounding what one device plays."""
    shape = dataclasses.replace(SHAPE, spreads_plans=True)
    expected, found = (life(engine_of(POLE, whole, shape), "a", 2) for whole in (False, True))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one[0].transitions.next_obs, other[0].transitions.next_obs, atol=2e-4)


def test_a_study_of_whole_episodes(tmp_path: Path) -> None:
    """It is asked for in the study file, where nothing is stepped, and is another study than one of steps."""
    table = {
        "env_id": "line",
        "num_episodes": 2,
        "tuner": {"name": "fixed", "num_trials": 1},
        "agent": SETTINGS,
        "validation": {"num_episodes": 1},
        "engine": {"whole_episodes": True},
    }
    spec, running = StudySpec.model_validate(table), Running(backend=AgentBackend(has_compile_cache=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WatchedEnv, "step", None)
        study = tune(spec, tmp_path, running)
    assert study.is_done
    assert [episode.length for episode in study.tables.episodes["0.0"]] == [30, 30, 30]
    with pytest.raises(ConfigError, match="cartpole-swingup is not played whole"):
        tune(spec.model_copy(update={"env_id": "cartpole-swingup"}), tmp_path / "other", running)
    with pytest.raises(ConfigError, match=r"engine\.whole_episodes: True -> False"):
        tune(StudySpec.model_validate({**table, "engine": {}}), tmp_path, running)
