"""The planners on objectives with known optima, and what they promise whatever the objective says."""

import dataclasses
import functools
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from cartwheel.agents.pets import planner
from cartwheel.agents.pets.hypers import (
    PLANNER_CHOICES,
    PLANNER_HYPERS,
    Executes,
    PetsShape,
    PlannerHypers,
    PlannerName,
    default_config,
    samples_at,
)
from cartwheel.agents.pets.plan_search import PlanState, init_plan
from cartwheel.agents.pets.planner import PlanBounds
from hand_made import CHANGES, planner_hypers, with_shape

A = 2
SIZES = {"max_horizon": 5, "max_iterations": 10, "max_samples": 64, "sample_chunk": 16}
SHAPES: dict[str, PetsShape] = {
    "cem": with_shape(planner="cem", **SIZES),
    "cem-clipped": with_shape(planner="cem", sampling="clipped", **SIZES),
    "icem": with_shape(planner="icem", **SIZES),
    "mppi": with_shape(planner="mppi", **SIZES),
    "random-shooting": with_shape(planner="random-shooting", **{**SIZES, "max_iterations": 1, "max_samples": 512}),
}
HYPERS: dict[str, dict[str, Any]] = {
    "cem": {"num_iterations": 10, "num_samples": 64, "plan_horizon": 3, "elite_ratio": 0.2},
    "mppi": {"num_iterations": 10, "num_samples": 64, "plan_horizon": 3, "initial_std": 0.25},
    "random-shooting": {"num_samples": 512, "plan_horizon": 1},
}
HYPERS["cem-clipped"] = HYPERS["cem"]
HYPERS["icem"] = {**HYPERS["cem"], "initial_std": 0.5, "noise_exponent": 2.0}
every_planner = pytest.mark.parametrize("name", SHAPES)
remembering = pytest.mark.parametrize("name", [name for name in SHAPES if name != "random-shooting"])


def everything(shape: PetsShape) -> PlanBounds:
    """Bounds that cover any member."""
    chunks = np.full(shape.max_iterations, shape.padded_samples // shape.sample_chunk)
    return jax.tree.map(jnp.int32, PlanBounds(shape.max_iterations, chunks, shape.max_horizon))


class Goal(NamedTuple):
    """Plans are scored by how far the actions of the first steps are from a target [T, A], squared, negative.

    Those whose very first number lies between the ``edges`` score ``there`` instead.
    """

    target: Any
    edges: tuple[float, float] = (9.0, 9.0)
    there: float = 0.0
    scale: float = 1.0
    offset: float = 0.0

    def score(self, plans: jax.Array) -> jax.Array:
        near = -jnp.sum(jnp.square(plans[:, : self.target.shape[0]] - self.target[None]), axis=(1, 2))
        is_there = (plans[:, 0, 0] > self.edges[0]) & (plans[:, 0, 0] < self.edges[1])
        return self.scale * jnp.where(is_there, self.there, near) + self.offset


FLAT, WAVE = [[0.3, -0.6]] * 3, [[0.3, -0.6], [-0.7, 0.1], [0.0, 0.5]]


@functools.cache
def program(shape: PetsShape) -> Any:
    """The compiled planner: whatever goal, hypers, bounds and memory, one program."""

    def step(goal: Goal, memory: PlanState, hypers: PlannerHypers, bounds: PlanBounds, key: jax.Array) -> Any:
        plan, after, score = planner.plan(lambda _: goal.score, memory, hypers, bounds, shape, key)
        return plan[0], after, score

    return jax.jit(step)


class Step(NamedTuple):
    """What came of one env step."""

    action: np.ndarray
    memory: PlanState
    best_score: float


def step(name: str, goal: Goal, memory: PlanState | None = None, executes: Executes = "mean", **hypers: Any) -> Step:
    """One env step of a planner."""
    shape = dataclasses.replace(SHAPES[name], executes=executes)
    arrays = planner_hypers(shape.planner, **{**HYPERS[name], **hypers})
    memory = init_plan(shape, A) if memory is None else memory
    # random shooting plans one step ahead in these tests, so the goal is one step's
    target = goal.target[: int(arrays.plan_horizon)]
    goal = jax.tree.map(jnp.float32, goal._replace(target=np.asarray(target)))
    action, memory, best = program(shape)(goal, memory, arrays, everything(shape), random.key(4))
    return Step(np.asarray(action), jax.tree.map(np.asarray, memory), float(best))


TOLERANCES = {"cem": 0.08, "cem-clipped": 0.08, "icem": 0.08, "mppi": 0.1, "random-shooting": 0.15}
"""How far from the optimum an action may be. Random shooting's best of 512 plans of one step is 0.04 away on average
and farther than 0.15 with probability exp(-9); MPPI's spread stays, so it settles less finely than a CEM."""


@every_planner
@pytest.mark.parametrize("target", [FLAT, WAVE], ids=["constant", "every step its own"])
def test_finds_the_top_of_a_hill(name: str, target: Any) -> None:
    """The optimum of a quadratic inside the bounds is found, at every step of the plan."""
    found = step(name, Goal(target))
    np.testing.assert_allclose(found.action, target[0], atol=TOLERANCES[name])
    if name != "random-shooting":
        np.testing.assert_allclose(found.memory.mean[:2], target[1:], atol=2 * TOLERANCES[name])
        assert found.best_score > -0.1


@every_planner
def test_finds_an_optimum_at_the_bound(name: str) -> None:
    """Where more is always better, the plan goes to the bound and never past it."""
    hypers = {} if name == "random-shooting" else {"initial_std": 1.0}
    action = step(name, Goal([[9.0, -9.0]] * 3), **hypers).action
    assert np.all(np.abs(action) <= 1.0)
    # truncated, CEM creeps up to the bound, because the distance to it caps the spread; the others clip
    # and the best of 512 uniform plans is 0.3 off with probability exp(-6)
    np.testing.assert_allclose(action, [1.0, -1.0], atol={"cem": 0.2, "random-shooting": 0.3}.get(name, 0.1))


@every_planner
def test_the_mean_is_not_deceived_by_a_spike(name: str) -> None:
    """A hill at -0.2 and a narrow spike, of actions between 0.5 and 0.6, that pays more.

    The best sample stands on the spike, as a model's error would have it; the mean of many stays on the hill.
    """
    goal = Goal([[-0.2, 0.0]], edges=(0.5, 0.6), there=0.1)
    hypers = {} if name == "random-shooting" else {"num_iterations": 1, "plan_horizon": 1, "initial_std": 0.5}
    if name == "mppi":
        hypers["temperature"] = 1.0
    assert 0.5 < step(name, goal, executes="best", **hypers).action[0] < 0.6
    mean_action = step(name, goal, **hypers).action[0]
    assert (0.5 < mean_action < 0.6) if name == "random-shooting" else (mean_action < 0.3)


@every_planner
@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan])
def test_plans_without_a_finite_score_never_win(name: str, value: float) -> None:
    """Plans to the right of 0 score no number: the statistic and the best plan all come from the left."""
    goal = Goal([[0.5, 0.0]] * 3, edges=(0.0, 9.0), there=value)
    hypers = {} if name == "random-shooting" else {"num_iterations": 1, "alpha": 0.0}
    for executes in get_args(Executes):
        found = step(name, goal, executes=executes, **hypers)
        assert found.action[0] < 0.0
        assert np.isfinite(found.best_score)
        assert np.all(np.isfinite(found.memory.mean))


@every_planner
@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan])
def test_all_plans_lost_changes_nothing(name: str, value: float) -> None:
    """If no plan has a finite score, the remembered plan goes on and no elites are kept."""
    memory = init_plan(SHAPES[name], A)
    memory = memory._replace(mean=jnp.full_like(memory.mean, 0.25))
    found = step(name, Goal(FLAT, edges=(-9.0, 9.0), there=value), memory)
    remembered = 0.0 if name == "random-shooting" else 0.25
    assert found.action.tolist() == [remembered] * 2
    assert found.memory.mean[:2].tolist() == [[remembered] * 2] * 2
    assert found.memory.num_elites == 0
    assert found.best_score == -np.inf


@every_planner
def test_an_episode_begins_without_memory(name: str) -> None:
    """Empty is a zero plan and no elites; planning from it again is as if the last episode had never been."""
    empty = init_plan(SHAPES[name], A)
    assert not any(np.any(leaf) for leaf in empty)
    goal = Goal(WAVE)
    first = step(name, goal)
    later = step(name, goal, first.memory)
    again = step(name, goal, init_plan(SHAPES[name], A))
    assert np.array_equal(again.action, first.action)
    assert np.array_equal(later.action, first.action) == (name == "random-shooting")


def test_random_shooting_remembers_nothing() -> None:
    """Its memory stays empty, whatever it finds."""
    assert not any(np.any(leaf) for leaf in step("random-shooting", Goal(FLAT)).memory)


def one_step_on(name: str, **hypers: Any) -> np.ndarray:
    """What memory [H] is after a step in which nothing was scored: the old plan 1, 2, 3, ... shifted."""
    memory = init_plan(SHAPES[name], A)
    steps = jnp.arange(1.0, memory.mean.shape[0] + 1, dtype=jnp.float32)[:, None] / 10.0
    memory = memory._replace(mean=jnp.broadcast_to(steps, memory.mean.shape))
    found = step(name, Goal(FLAT, edges=(-9.0, 9.0), there=-np.inf), memory, **hypers)
    return np.round(10 * found.memory.mean[:, 0], 4)


@pytest.mark.parametrize("horizon", [1, 3, 5])
def test_the_plan_moves_on_by_one_step(horizon: int) -> None:
    """The executed step leaves; behind the plan's own horizon CEM puts zeros, iCEM and MPPI the last action."""
    rest = list(range(2, horizon + 1))
    missing = SIZES["max_horizon"] - len(rest)
    assert one_step_on("cem", plan_horizon=horizon).tolist() == [*rest, *[0] * missing]
    for name in ("icem", "mppi"):
        assert one_step_on(name, plan_horizon=horizon).tolist() == [*rest, *[horizon] * missing]


def test_a_share_of_the_plan_and_of_its_tail_is_remembered() -> None:
    """The next search begins with a fraction of the shifted plan, its end being a fraction of the last action."""
    found = one_step_on("cem", plan_horizon=3, warm_start_fraction=0.5, tail_fraction=0.2)
    np.testing.assert_allclose(found, [1.0, 1.5, *[0.3] * 3])  # half of 2 and 3, then 20% of 1.5
    assert not np.any(one_step_on("mppi", warm_start_fraction=0.0))


def test_the_best_sample_or_the_mean() -> None:
    """``executes`` decides: "best" gives the highest-scoring plan ever seen, "mean" the statistic's mean."""
    for name in ("cem", "icem", "mppi"):
        mean, best = step(name, Goal(FLAT)), step(name, Goal(FLAT), executes="best")
        assert not np.array_equal(mean.action, best.action)
        # the best plan's three steps together score what is reported
        assert np.sum((best.action - FLAT[0]) ** 2) <= -best.best_score + 1e-6


def test_mppi_does_not_mind_where_zero_is() -> None:
    """Adding a constant to all returns changes nothing, however large both are."""
    one, two = (step("mppi", Goal(WAVE, offset=offset)).action for offset in (0.0, -1000.0))
    np.testing.assert_allclose(one, two, atol=1e-2)  # a float32 of 1000 knows 6e-5
    hot = {"temperature": 1e-4}
    assert np.all(np.isfinite(step("mppi", Goal(WAVE, scale=1e30), **hot).action))


def test_mppis_temperature_has_no_unit_of_return() -> None:
    """In units of spread, rewards a thousand times larger give the same plan; in units of return they do not."""
    one, two = (step("mppi", Goal(WAVE, scale=scale)).action for scale in (1.0, 1024.0))
    np.testing.assert_allclose(one, two, atol=1e-5)
    shape = dataclasses.replace(SHAPES["mppi"], temperature_unit="return")
    goal = jax.tree.map(jnp.float32, Goal(np.asarray(WAVE)))
    hypers = planner_hypers("mppi", **HYPERS["mppi"])
    rest = init_plan(shape, A), hypers, everything(shape), random.key(4)
    raw = [program(shape)(goal._replace(scale=jnp.float32(scale)), *rest)[0] for scale in (1.0, 1024.0)]
    assert not np.allclose(*raw, atol=1e-3)


@pytest.mark.parametrize("value", [-1e30, -3e38])
def test_one_terrible_plan_does_not_blind_mppi(value: float) -> None:
    """An imagined explosion with a finite return makes no other plans look alike."""
    found = step("mppi", Goal(WAVE, edges=(0.9, 9.0), there=value))
    np.testing.assert_allclose(found.action, WAVE[0], atol=0.15)


def knobs() -> list[Any]:
    return [pytest.param(name, knob, id=f"{name}-{knob}") for name in PLANNER_HYPERS for knob in PLANNER_HYPERS[name]]


def actions_of(shape: PetsShape, config: dict[str, Any]) -> np.ndarray:
    """The actions [T, A] of twelve env steps: what is remembered has shown its effect by then."""
    memory, actions = init_plan(shape, A), []
    arrays = planner_hypers(shape.planner, **config)
    target = np.asarray([[0.9, -0.6], [-0.7, 0.1], [0.0, 0.5], [0.4, 0.4], [-0.3, 0.8]])
    goal = jax.tree.map(jnp.float32, Goal(target[: config["plan_horizon"]]))
    for t in range(12):
        action, memory, _ = program(shape)(goal, memory, arrays, everything(shape), random.key(t))
        actions.append(np.asarray(action))
    return np.stack(actions)


def knob_shape(name: PlannerName) -> tuple[PetsShape, dict[str, Any]]:
    """A small program for a planner, and the config in which no hyperparameter is without effect."""
    shape = with_shape(planner=name, max_iterations=1 if name == "random-shooting" else 3)
    return shape, {knob: CHANGES[knob][0] for knob in PLANNER_HYPERS[name]}


@functools.cache
def untouched(name: PlannerName) -> np.ndarray:
    return actions_of(*knob_shape(name))


@pytest.mark.parametrize(("name", "knob"), knobs())
def test_no_knob_of_any_planner_is_dead(name: PlannerName, knob: str) -> None:
    """Changing any one hyperparameter changes the chosen actions."""
    shape, config = knob_shape(name)
    assert not np.array_equal(actions_of(shape, {**config, knob: CHANGES[knob][1]}), untouched(name))


OTHERS: dict[str, Any] = {
    "executes": "best",
    "sampling": "clipped",
    "last_sample": "random",
    "temperature_unit": "return",
}


@pytest.mark.parametrize(
    ("name", "choice"), [(name, choice) for name, own in PLANNER_CHOICES.items() for choice in sorted(own)]
)
def test_no_choice_of_any_planner_is_dead(name: PlannerName, choice: str) -> None:
    """Nor is any choice that a planner is said to have."""
    shape, config = knob_shape(name)
    assert not np.array_equal(
        actions_of(dataclasses.replace(shape, **{choice: OTHERS[choice]}), config), untouched(name)
    )


@every_planner
def test_neighbours_bounds_change_nothing(name: str) -> None:
    """A plan under its own bounds and under those of a larger neighbour is the same, bit for bit."""
    shape = SHAPES[name]
    values = (
        {"num_samples": 20} if name == "random-shooting" else {**HYPERS[name], "num_samples": 20, "num_iterations": 2}
    )
    hypers = planner_hypers(shape.planner, **values)
    own = planner.plan_bounds(jax.tree.map(lambda leaf: np.asarray(leaf)[None], hypers), shape)
    assert own.num_iterations == min(2, shape.max_iterations)
    chunks = {"icem": [2, 1, 0], "random-shooting": [2]}.get(name, [2, 2, 0])
    assert own.num_chunks.tolist()[:3] == chunks
    goal, memory = jax.tree.map(jnp.float32, Goal(np.asarray(WAVE))), init_plan(shape, A)
    alone, beside = (
        program(shape)(goal, memory, hypers, bounds, random.key(4))
        for bounds in (jax.tree.map(jnp.asarray, own), everything(shape))
    )
    assert np.array_equal(alone[0], beside[0])
    assert np.array_equal(alone[1].mean, beside[1].mean)
    num_elites = int(alone[1].num_elites)
    assert num_elites == int(beside[1].num_elites)
    assert np.array_equal(alone[1].elites[:num_elites], beside[1].elites[:num_elites])
    assert np.array_equal(alone[2], beside[2])


@every_planner
def test_the_programs_maxima_change_nothing(name: str) -> None:
    """Programs for longer plans, more iterations and more samples do the same over three steps, but for rounding."""
    small = SHAPES[name]
    values = {**HYPERS[name], "num_samples": 50, "plan_horizon": 4}
    values = values if name == "random-shooting" else {**values, "num_iterations": 3}
    more = {"max_horizon": 13, "max_samples": 640}
    more = more if name == "random-shooting" else {**more, "max_iterations": 12}
    hypers, goal = (
        planner_hypers(small.planner, **values),
        jax.tree.map(jnp.float32, Goal(np.asarray([*WAVE, WAVE[0]]))),
    )
    actions = []
    for shape in (small, dataclasses.replace(small, **more)):
        memory = init_plan(shape, A)
        for t in range(3):
            action, memory, _ = program(shape)(goal, memory, hypers, everything(shape), random.key(t))
            actions.append(np.asarray(action))
    np.testing.assert_allclose(actions[:3], actions[3:], atol=1e-5)


@pytest.mark.parametrize("name", get_args(PlannerName))
def test_bounds_on_the_host_cover_the_samples_in_the_program(name: PlannerName) -> None:
    """NumPy and the program count the same samples, over the whole space of small planning budgets."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        drawn = {
            "num_samples": int(rng.integers(16, 97)),
            "elite_ratio": float(rng.uniform(0.05, 0.4)),
            "sample_decay": float(rng.uniform(1.0, 2.0)),
        }
        hypers = planner_hypers(name, **{key: value for key, value in drawn.items() if key in default_config(name)})
        host = jax.tree.map(np.asarray, hypers)
        for i in range(4):
            assert int(samples_at(host, np.int32(i), np)) == int(samples_at(hypers, jnp.int32(i)))
