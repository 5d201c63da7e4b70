"""A trained agent outside its study: exported into a folder, loaded again, asked for actions.

    agent = Agent.load("my-agent")
    agent.reset(seed=1)
    action = agent.act(obs)

The folder holds ``agent.json`` (task, shape, config) and ``agent.safetensors`` (weights, normaliser): data only.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from cartwheel.agents.pets import agent as pets
from cartwheel.agents.pets.arrays import HasShape, part_from_arrays, require_part
from cartwheel.agents.pets.hypers import PetsShape, check_config, hypers_from_configs
from cartwheel.agents.pets.plan_search import PlanState
from cartwheel.agents.pets.planner import plan_bounds
from cartwheel.agents.pets.propagation import World
from cartwheel.agents.pets.setup import AgentSetup
from cartwheel.engines.engine import random_key
from cartwheel.envs.isolated import AS_USUAL, EnvMaker
from cartwheel.envs.lookup import find_task
from cartwheel.envs.making import CannotMake
from cartwheel.envs.pool import Watched
from cartwheel.errors import ConfigError, StorageError
from cartwheel.records import Config, Episode
from cartwheel.seeds import seed_integer
from cartwheel.store.checkpoints import encode, read_file

FORMAT = 1
DESCRIPTION, ARRAYS = "agent.json", "agent.safetensors"
_MAX_DESCRIPTION_BYTES = 2**20
_KEPT_PARTS = ("weights", "normaliser")
_FILES_STEP = "export the agent again with `cartwheel export`"

Act = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Agent:
    """A planner with a learned model. It remembers its plan within an episode: ``reset`` before each."""

    def __init__(self, setup: AgentSetup, config: Config, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Raises ValueError if the config is illegal or the arrays do not fit."""
        own = setup.under(config)
        self.task, self.config = own.task, own.base
        # an agent that only acts needs no buffer, and here it has one device
        self._shape = dataclasses.replace(own.shape, capacity=1, spreads_plans=False)
        empty = jax.device_get(pets.init(self.task, self._shape, jax.random.key(0)))
        parts = {part: part_from_arrays(empty, part, arrays) for part in _KEPT_PARTS}
        self._model = jax.device_put(World(parts["weights"], parts["normaliser"]))
        cohort = hypers_from_configs([self.config], self._shape.planner)
        self._bounds = jax.tree.map(jnp.asarray, plan_bounds(cohort.planner, self._shape))
        self._hypers = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), cohort)
        self._act = jax.jit(self._one_action)
        self._memory: PlanState = pets.begin_episode(self.task, self._shape)
        self.reset()

    @staticmethod
    def load(folder: str | Path, maker: EnvMaker = AS_USUAL) -> "Agent":
        """The agent that ``export_agent`` wrote; ``maker`` looks at its environment if that is foreign.

        Raises StorageError if the folder holds none, or a damaged one.
        """
        folder = Path(folder)
        description = _read_description(folder / DESCRIPTION)
        try:
            task = find_task(str(description["env_id"]), description["episode_length"], maker)
        except CannotMake as error:
            raise StorageError(f"the agent's environment cannot be made: {error}", str(folder), "") from error
        except (KeyError, TypeError, ValueError) as error:
            step = "register the agent's task first: give --task-file, or call register_task"
            raise StorageError(f"the agent's task is not known: {error}", str(folder), step) from error
        try:
            shape, config = PetsShape(**description["shape"]), dict(description["config"])
            check_config(config, shape.planner)
            template = jax.eval_shape(lambda: pets.init(task, shape, jax.random.key(0)))
            arrays, _ = read_file(folder / ARRAYS, lambda layout: _require(template, layout))
            return Agent(AgentSetup(task, shape, config), {}, arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(f"the agent cannot be used: {error}", str(folder), _FILES_STEP) from error

    def reset(self, seed: int = 0) -> None:
        """Forget the plan: an episode begins. ``seed`` decides the planner's randomness."""
        self._begin(random_key("agent", seed))

    def act(self, obs: NDArray[Any]) -> NDArray[np.float32]:
        """The action [A], in the environment's units, for an observation [O].

        Raises ValueError if ``obs`` has another shape.
        """
        vector = np.asarray(obs, np.float32)
        if vector.shape != (self.task.obs_size,):
            raise ValueError(f"obs: {self.task.id} observes {self.task.obs_size} numbers, got shape {vector.shape}")
        action, self._memory, _ = self._act(self._memory, vector, self._key, np.int32(self._step))
        self._step += 1
        return np.asarray(action)

    def play(self, num_episodes: int, seed: tuple[int | str, ...], maker: EnvMaker = AS_USUAL) -> Sequence[Episode]:
        """Episodes in the real environment, with the randomness that ``seed`` names.

        Raises CannotMake or EnvironmentFailed if the environment cannot be made or fails.
        """

        def begin(index: int) -> Act:
            self._begin(random_key(*seed, index, "act"))
            return self.act

        return play(maker(self.task), begin, seed, num_episodes)

    def _begin(self, key: NDArray[np.uint32]) -> None:
        self._key, self._step = key, 0
        self._memory = pets.begin_episode(self.task, self._shape)

    def _one_action(self, memory: Any, obs: Any, key: Any, step: Any) -> Any:
        key = jax.random.fold_in(jax.random.wrap_key_data(key), step)
        is_random = jnp.zeros((), bool)
        return pets.act(self.task, self._shape, self._model, memory, self._hypers, self._bounds, obs, is_random, key)


def _require(template: pets.PetsState, found: Mapping[str, HasShape]) -> None:
    for part in _KEPT_PARTS:
        require_part(template, part, found)


def play(env: Watched, begin: Callable[[int], Act], seed: tuple[int | str, ...], num_episodes: int) -> list[Episode]:
    """Real episodes under the policy that ``begin(index)`` gives for each; the names ``seed`` decide the resets.

    Closes the environment.
    """
    try:
        return [play_episode(env, begin(index), seed, index) for index in range(num_episodes)]
    finally:
        env.close()


def play_episode(env: Watched, act: Act, seed: tuple[int | str, ...], index: int) -> Episode:
    """One real episode under a policy. Raises EnvironmentFailed."""
    obs = env.reset(seed_integer(*seed, index, "reset"))
    total, length = 0.0, 0
    while length < env.task.episode_length and not env.is_over:
        obs, reward, _ = env.step(act(obs))
        total, length = total + reward, length + 1
    return Episode(index, total, length, metrics=env.metrics, warnings=dict(env.warnings))


def export_agent(setup: AgentSetup, config: Config, arrays: Mapping[str, NDArray[Any]], out: Path) -> Path:
    """Write an agent's folder. Raises ConfigError if ``out`` exists and is not empty, StorageError if it cannot."""
    kept = {name: array for name, array in arrays.items() if name.split("/")[0] in _KEPT_PARTS}
    own = setup.under(config)
    description = {
        "format": FORMAT,
        "agent": "pets",
        "env_id": setup.task.id,
        "episode_length": setup.task.episode_length,
        "shape": dataclasses.asdict(own.shape),
        "config": own.base,
    }
    try:
        if out.exists() and any(out.iterdir()):
            raise ConfigError("the folder is not empty", str(out), "choose a new one with --out")
        out.mkdir(parents=True, exist_ok=True)
        (out / ARRAYS).write_bytes(encode(kept, {"format": FORMAT}))
        (out / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
    except OSError as error:
        raise StorageError(f"cannot write the agent: {error.strerror}", str(out), "choose another --out") from error
    return out


def _read_description(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            description = json.loads(file.read(_MAX_DESCRIPTION_BYTES))
    except OSError as error:
        raise StorageError(f"no agent here: {error.strerror}", str(path), _FILES_STEP) from error
    except (ValueError, RecursionError) as error:
        raise StorageError(f"the agent's description is damaged: {error}", str(path), _FILES_STEP) from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise StorageError(f"not an agent of format {FORMAT}", str(path), _FILES_STEP)
    return description
