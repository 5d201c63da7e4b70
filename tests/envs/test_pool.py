"""Environments on the host: seeded, watched, and failing with a reason."""

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box

from cartwheel.envs.calls import call_under_way
from cartwheel.envs.pool import EnvironmentFailed, WatchedEnv, make_env
from cartwheel.envs.tasks import CARTPOLE_SWINGUP, INVERTED_PENDULUM, LINE, PENDULUM

ZERO = np.zeros(1, np.float32)


@pytest.fixture(autouse=True)
def _nothing_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever happens to the simulator, no log file lands where the user stands."""
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("task", [CARTPOLE_SWINGUP, PENDULUM, INVERTED_PENDULUM, LINE], ids=lambda task: task.id)
def test_the_same_seed_is_the_same_episode(task: Any) -> None:
    """Resets are seeded: same seed, same start and same steps; another seed, another start (the line has one)."""
    one, two = make_env(task), make_env(task)
    one.reset(1)
    assert np.array_equal(one.reset(7), two.reset(7))
    assert np.array_equal(one.step(ZERO)[0], two.step(ZERO)[0])
    assert task is LINE or not np.array_equal(one.reset(7), two.reset(8))


def test_observations_are_float32_and_time_limits_do_not_terminate() -> None:
    """Reaching the episode's length is not termination."""
    task = dataclasses.replace(PENDULUM, episode_length=3)
    env = make_env(task)
    assert env.reset(0).dtype == np.float32
    for _ in range(3):
        obs, _, terminated = env.step(ZERO)
        assert obs.dtype == np.float32
        assert not terminated
    assert not env.warnings


def broken(**state: Any) -> WatchedEnv:
    """A pendulum on a cart whose simulator has been given an impossible state."""
    env = make_env(INVERTED_PENDULUM)
    env.reset(0)
    inner: Any = env.env.unwrapped
    for name, value in state.items():
        getattr(inner.data, name)[:] = value
    return env


def warnings_of(env: WatchedEnv, action: np.ndarray = ZERO) -> set[str]:
    with contextlib.suppress(EnvironmentFailed):
        env.step(action)
    return set(env.warnings)


@pytest.mark.parametrize(
    ("state", "expected"), [({"qvel": 1e9}, "BADQACC"), ({"qpos": np.nan}, "BADQPOS"), ({"qvel": np.nan}, "BADQVEL")]
)
def test_a_simulator_that_reset_itself_is_noticed(state: dict[str, Any], expected: str) -> None:
    """MuJoCo resets a broken state silently and the step looks normal: the counters tell, and the episode fails."""
    env = broken(**state)
    with pytest.raises(EnvironmentFailed) as failure:
        env.step(ZERO)
    assert failure.value.kind == "unstable_physics"
    assert expected in env.warnings


def test_an_impossible_action_is_noticed() -> None:
    """A NaN action leaves a mark even where observation and reward look normal."""
    env = make_env(INVERTED_PENDULUM)
    env.reset(0)
    assert "BADCTRL" in warnings_of(env, np.asarray([np.nan], np.float32))
    swing_up = make_env(CARTPOLE_SWINGUP)
    swing_up.reset(0)
    with pytest.raises(EnvironmentFailed, match=r"cartwheel/CartPoleSwingUp-v0: step 1 returned a value .* not finite"):
        swing_up.step(np.asarray([np.nan], np.float32))
    assert swing_up.warnings["not_finite"] == 1


def test_warnings_are_those_of_this_episode() -> None:
    """A reset forgets the alarms of the episode before."""
    env = broken(qvel=1e9)
    warnings_of(env)
    env.reset(1)
    env.step(ZERO)
    assert not env.warnings


class Odd:
    """Stands in for an environment: returns what it is told to."""

    action_space = Box(-1.0, 1.0, (1,), np.float32)
    unwrapped = None

    def __init__(self, first: Any, *step: Any) -> None:
        self.first, self.result = first, step

    def reset(self, **_: Any) -> Any:
        if isinstance(self.first, Exception):
            raise self.first
        return self.first, {}

    def step(self, _: Any) -> Any:
        return *self.result, False, False, {}


GOOD = np.zeros(2)


@pytest.mark.parametrize(
    ("first", "step", "message"),
    [
        (RuntimeError("no\nlicense"), (GOOD, 0.0), r"reset raised RuntimeError\('no\\nlicense'\)"),
        (np.asarray([np.nan, 0.0]), (GOOD, 0.0), "step 0 returned a value that is not finite"),
        (np.zeros(3), (GOOD, 0.0), r"step 0 returned an observation of shape \(3,\)"),
        ({"a": 1}, (GOOD, 0.0), "step 0 returned an observation that is no vector"),
        (GOOD, (np.asarray([0.0, np.inf]), 0.0), "step 1 returned a value that is not finite"),
        (GOOD, (np.asarray([0.0, 1e300]), 0.0), "step 1 returned a value that is not finite"),
        (GOOD, (GOOD, np.nan), r"step 1 returned a value that is not finite \(reward nan\)"),
        (GOOD, (GOOD, None), r"step 1 returned a value that is not finite \(reward nan\)"),
        (GOOD, (np.zeros((2, 1)), 0.0), r"step 1 returned an observation of shape \(2, 1\)"),
    ],
)
def test_what_nothing_can_learn_from_fails_the_episode(first: Any, step: Any, message: str) -> None:
    """An environment that raises or returns nonsense fails with its name, the step and the reason on one line."""
    env = WatchedEnv(LINE, Odd(first, *step))  # type: ignore[arg-type]

    def begin() -> None:
        env.reset(0)
        env.step(ZERO)

    with pytest.raises(EnvironmentFailed, match=message) as failure:
        begin()
    assert "\n" not in str(failure.value)
    assert str(failure.value).startswith("cartwheel/Line-v0: ")


def test_rewards_beyond_working_physics_are_counted() -> None:
    """The exploding step pays before any counter moves: rewards beyond the task's bound are on record."""
    env = WatchedEnv(LINE, Odd(GOOD, GOOD, 2e3))  # type: ignore[arg-type]
    env.reset(0)
    for _ in range(2):
        env.step(ZERO)
    assert env.warnings == {"reward_out_of_bounds": 2}


def test_an_unknown_environment_is_named() -> None:
    """Gymnasium's complaint comes back as one line with the id."""
    with pytest.raises(ValueError, match="env_id 'Pendulmu-v1': Environment `Pendulmu` doesn't exist"):
        make_env(dataclasses.replace(PENDULUM, env_id="Pendulmu-v1"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"env_id": "Nowhere-v0"}, "env_id 'Nowhere-v0': "),
        (
            {"env_id": "CartPole-v1", "obs_size": 4},
            r"task 'line': CartPole-v1 has actions Discrete\(2\), the task",
        ),
        ({"obs_size": 3}, r"task 'line': cartwheel/Line-v0 has observations Box.*the task says Box.*\(3,\)"),
        ({"action_low": (-2.0,)}, r"task 'line': cartwheel/Line-v0 has actions Box\(-1.0, 1.0.*says Box\(-2.0, 1.0"),
        ({"action_low": (-1.0, -1.0), "action_high": (1.0, 1.0)}, r"has actions Box.*\(1,\).*says Box.*\(2,\)"),
    ],
)
def test_a_task_that_does_not_fit_its_environment_is_refused(change: dict[str, Any], message: str) -> None:
    """What the environment has and what the task says stand in one message, before anything is trained."""
    with pytest.raises(ValueError, match=message):
        make_env(dataclasses.replace(LINE, **change))


class Truncating(Odd):
    """Ends at its own limit of time."""

    def step(self, _: Any) -> Any:
        return *self.result, False, True, {}


def test_an_environments_own_time_limit_ends_the_episode_and_terminates_nothing() -> None:
    """Truncation is over, and not termination: nothing is learned from it."""
    env = WatchedEnv(LINE, Truncating(GOOD, GOOD, 0.0))  # type: ignore[arg-type]
    env.reset(0)
    assert not env.is_over
    _, _, terminated = env.step(ZERO)
    assert env.is_over
    assert not terminated
    env.reset(0)
    assert not env.is_over


class Aliasing(Odd):
    """Returns the same array at every step, changes its action, pays in an array of one number."""

    def __init__(self) -> None:
        self.obs = np.zeros(2, np.float32)

    def reset(self, **_: Any) -> Any:
        return self.obs, {}

    def step(self, action: Any) -> Any:
        action *= 0.5
        self.obs += 1.0
        return self.obs, np.ones(1), False, False, {}


def test_arrays_are_not_shared_with_the_environment() -> None:
    """An observation stays what it was, and an action too, whatever the environment does with its arrays later."""
    env = WatchedEnv(LINE, Aliasing())  # type: ignore[arg-type]
    action = np.ones(1, np.float32)
    action.flags.writeable = False  # as those are that come from a device
    first = env.reset(0)
    second, reward, _ = env.step(action)
    env.step(action)
    assert (first.tolist(), second.tolist(), reward, action.tolist()) == ([0.0, 0.0], [1.0, 1.0], 1.0, [1.0])


class Unspeakable(BaseException):
    """Neither an Exception nor able to say what it is."""

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("error", [SystemExit(3), Unspeakable()])
def test_nothing_that_an_environment_raises_ends_the_process(error: BaseException) -> None:
    """sys.exit() in a step fails the episode, as any exception does."""

    class Raising(Odd):
        def step(self, _: Any) -> Any:
            raise error

    env = WatchedEnv(LINE, Raising(GOOD))  # type: ignore[arg-type]
    env.reset(0)
    with pytest.raises(EnvironmentFailed, match=f"step 1 raised {type(error).__name__}"):
        env.step(ZERO)


def test_ctrl_c_is_the_users_on_the_main_thread_only() -> None:
    """Python delivers it to the main thread: there it passes, elsewhere an environment has raised it itself."""

    class Interrupting(Odd):
        def step(self, _: Any) -> Any:
            raise KeyboardInterrupt

    env = WatchedEnv(LINE, Interrupting(GOOD))  # type: ignore[arg-type]
    env.reset(0)
    with pytest.raises(KeyboardInterrupt):
        env.step(ZERO)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            env.step(ZERO)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert isinstance(raised[0], EnvironmentFailed)
    assert call_under_way(thread) is None


def test_old_steps_of_four_values_are_named() -> None:
    """What Gym had before Gymnasium fails with the reason."""

    class Old(Odd):
        def step(self, _: Any) -> Any:
            return GOOD, 0.0, False, {}

    env = WatchedEnv(LINE, Old(GOOD))  # type: ignore[arg-type]
    env.reset(0)
    with pytest.raises(EnvironmentFailed, match="step 1 returned 4 values, and Gymnasium's step returns 5"):
        env.step(ZERO)
