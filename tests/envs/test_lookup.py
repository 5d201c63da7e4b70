"""Any registered environment is a task, or is refused with what is supported."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Text, Tuple

from cartwheel.envs import making
from cartwheel.envs.isolated import EnvMaker
from cartwheel.envs.lookup import find_task, task_for
from cartwheel.envs.pool import make_env
from cartwheel.envs.tasks import LINE, never

INSIDE = EnvMaker("none")
"""Begins no process, which takes seconds."""
ACTIONS = Box(-1.0, 1.0, (1,), np.float32)
NUMBERS = Box(-np.inf, np.inf, (2,), np.float64)


class Made(gymnasium.Env[Any, Any]):
    """An environment of any spaces: observes its first action, ends never."""

    def __init__(self, observations: Any = NUMBERS, actions: Any = ACTIONS) -> None:
        self.observation_space, self.action_space = observations, actions

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed, options=options)
        return self._observed(0.0), {}

    def step(self, action: Any) -> Any:
        assert np.shape(action) == self.action_space.shape
        return self._observed(float(np.ravel(action)[0])), 1.0, False, False, {}

    def _observed(self, number: float) -> Any:
        def fill(space: Any) -> Any:
            if isinstance(space, Dict):
                return {name: fill(part) for name, part in space.spaces.items()}
            if isinstance(space, Tuple):
                return tuple(map(fill, space.spaces))
            return np.full(space.shape, number, space.dtype)

        return fill(self.observation_space)


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(gymnasium.envs.registration, "registry", registry := dict(gymnasium.registry))
    monkeypatch.setattr(gymnasium, "registry", registry)


def register(limit: int | None = 7, **spaces: Any) -> str:
    gymnasium.register("tests/Made-v0", entry_point=Made, max_episode_steps=limit, kwargs=spaces)
    return "tests/Made-v0"


def test_a_registered_id_is_a_task_whose_reward_and_termination_are_learned() -> None:
    """Sizes, bounds and length are the environment's."""
    assert find_task("Pendulum-v1").learned == "", "tasks that ship keep their formulas"
    task = find_task("cartwheel/Line-v0")
    assert (task.id, task.obs_size, task.action_low, task.action_high) == ("cartwheel/Line-v0", 2, (-1.0,), (1.0,))
    assert task.episode_length == LINE.episode_length
    assert task.learned == "reward and termination"
    assert find_task("cartwheel/Line-v0", 5).episode_length == 5


@pytest.mark.parametrize(
    ("observations", "size"),
    [
        (Dict({"b": NUMBERS, "a": Box(0.0, 1.0, (2, 3), np.float32)}), 8),
        (Tuple([NUMBERS, Dict({"x": Box(-1.0, 1.0, (), np.float32)})]), 3),
        (Box(-1.0, 1.0, (2, 2), np.float32), 4),
        (Box(0, 255, (5,), np.uint8), 5),
    ],
)
def test_numbers_in_any_arrangement_are_flattened(observations: Any, size: int) -> None:
    """Dicts, tuples and matrices become vectors, and actions of any shape are given as the environment wants them."""
    task = find_task(register(observations=observations, actions=Box(-1.0, 1.0, (2, 2), np.float32)))
    assert (task.obs_size, task.action_size) == (size, 4)
    env = make_env(task)
    assert env.reset(0).tolist() == [0.0] * size
    assert env.step(np.asarray([1.0, 0.0, 0.0, 0.0], np.float32))[0].tolist() == [1.0] * size


@pytest.mark.parametrize(
    ("spaces", "message"),
    [
        ({"actions": Discrete(3)}, r"discrete actions Discrete\(3\) are not supported"),
        ({"actions": Box(-np.inf, np.inf, (1,), np.float32)}, r"actions Box\(-inf.* are not bounded"),
        ({"actions": Box(-3e38, 3e38, (1,), np.float32)}, "are not bounded"),
        ({"actions": Box(0, 5, (1,), np.int64)}, "whole numbers"),
        ({"observations": Box(0, 255, (8, 8, 3), np.uint8)}, r"image observations \(of shape \(8, 8, 3\), uint8\)"),
        ({"observations": Box(0, 255, (8, 8), np.uint8)}, "image observations"),
        ({"observations": Dict({"camera": Box(0, 255, (8, 8, 3), np.uint8)})}, "image observations"),
        ({"observations": Discrete(4)}, r"observations Discrete\(4\) are not supported"),
        ({"observations": Dict({"word": Text(5), "x": NUMBERS})}, r"observations Text\("),
    ],
)
def test_what_is_not_supported_is_refused_with_what_is(spaces: dict[str, Any], message: str) -> None:
    with pytest.raises(
        ValueError, match=f"env_id 'tests/Made-v0': .*{message}.*; supported are observations of numbers"
    ):
        find_task(register(**spaces))


def test_an_environment_without_a_time_limit_needs_one() -> None:
    env_id = register(limit=None)
    with pytest.raises(ValueError, match="has no time limit; say how long an episode is: --episode-length"):
        find_task(env_id, maker=INSIDE)
    assert find_task(env_id, 12, INSIDE).episode_length == 12


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("Pendulmu-v1", "did you mean 'Pendulum-v1'"),
        ("BipedalWaker-v3", "did you mean 'BipedalWalker-v3'"),
        ("zzzz", r"docs/tasks\.md"),
        ("CarRacing-v3", r"Box2D is not installed.*pip install|image observations"),
        ("os:Pendulum-v1", "names a module, which is code to run: allow it by --allow-env-import"),
    ],
)
def test_an_id_that_cannot_be_used_says_why(env_id: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_task(env_id)


def test_a_module_is_imported_only_when_that_is_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The very module of the id, by the user's word alone."""
    (tmp_path / "brings_an_env.py").write_text(
        "import gymnasium\nfrom test_lookup import Made\n"
        "gymnasium.register('Brought-v0', entry_point=Made, max_episode_steps=3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(making, "_imports", {"are_allowed": False})
    with pytest.raises(ValueError, match="allow it by --allow-env-import"):
        find_task("brings_an_env:Brought-v0")
    assert "Brought-v0" not in gymnasium.registry
    making.allow_imports()
    assert find_task("brings_an_env:Brought-v0").episode_length == 3
    assert "Brought-v0" not in gymnasium.registry, "it was imported in a process of its own"


def test_what_a_constructor_raises_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if it wants to end the process."""
    env_id = register()
    for error in (RuntimeError("no\nlicense"), SystemExit(1)):

        def fail(*_: Any, error: BaseException = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr(Made, "__init__", fail)
        with pytest.raises(ValueError, match=rf"env_id 'tests/Made-v0': making it raised {type(error).__name__}"):
            find_task(env_id, maker=INSIDE)


def test_a_class_is_a_task_with_the_formulas_that_are_known() -> None:
    """What is given is not learned; a second class of the same name is not mistaken for the first."""
    known = {"terminated": never, "reward": lambda obs, action, after: after[0]}
    task = task_for(Made, id="mine", episode_length=4, maker=INSIDE, **known)
    assert (task.id, task.env_id, task.learned) == ("mine", "own/Made-v0", "")
    other = type("Made", (Made,), {})
    with pytest.raises(ValueError, match="own/Made-v0 is another environment already"):
        task_for(other, episode_length=4, maker=INSIDE)
