"""NaN, Inf and absurd numbers put into one member, fifty ways: it alone is marked, and nobody else changes by a bit."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cartwheel.engines import engine
from cartwheel.engines.engine import Engine
from cartwheel.records import FailureKind, SegmentId
from cartwheel.results import Study
from cartwheel.seeds import seed_integer
from hostile import LIMIT, Hostile
from one_program import run, share_program

NUM_TRIALS = 3


@dataclass(frozen=True)
class Injection:
    """``value`` in place of an honest one, in one step (from 1; 0: the reset) of one episode of one member."""

    where: str
    value: float
    member: int
    episode: int
    step: int = 1

    @property
    def seed(self) -> tuple[int | str, ...]:
        """The names under which that episode's randomness is addressed."""
        return 0, "tune", f"{self.member}.0"

    @property
    def kinds(self) -> set[FailureKind | None]:
        """What the member may be marked as."""
        if self.where in ("obs", "reward"):
            return {"unstable_physics"}
        if self.where == "action":
            return {"diverged_model"}
        # with a finite rate, however large, weights may stay finite: then the agent is a bad one
        return {"non_finite_training", "diverged_model", *((None,) if math.isfinite(self.value) else ())}


def _all() -> Iterator[Injection]:
    numbers = (math.nan, math.inf, -math.inf, 1e300)
    for (where, value), step in itertools.product(itertools.product(("obs", "reward"), numbers), (1, 3, LIMIT)):
        yield Injection(where, value, step % NUM_TRIALS, 1 + step % 2, step)
    for value, member in itertools.product((math.nan, math.inf), (0, 2)):
        yield Injection("obs", value, member, 1, step=0)
    for value, step in itertools.product(numbers[:3], (1, 2, 4, LIMIT)):
        yield Injection("action", value, step % NUM_TRIALS, 1 + step % 2, step)
    for value, episode in itertools.product((1e9, math.inf, math.nan), (0, 2)):
        yield Injection("learning_rate", value, 1, episode)
    for value, episode in itertools.product((math.nan, math.inf), (0, 1)):
        yield Injection("weight_decay", value, 2, episode)  # a term of the loss


INJECTIONS = list(_all())


class Honest(Hostile):
    """Never breaks a promise, unless ``injection`` says so for the episode that is reset with its seed."""

    moment = LIMIT + 1
    injection: Injection | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        plan = type(self).injection
        self.is_hit = plan is not None and seed == seed_integer(*plan.seed, plan.episode, "reset")
        obs, info = super().reset(seed=seed, options=options)
        return self._spoilt((obs, 0.0), "obs")[0], info

    def step(self, action: Any) -> Any:
        obs, reward, *rest = super().step(action)
        return (*self._spoilt((obs, reward), "obs", "reward"), *rest)

    def _spoilt(self, honest: tuple[Any, float], *where: str) -> tuple[Any, float]:
        plan = type(self).injection
        if plan is None or not self.is_hit or plan.step != self.t or plan.where not in where:
            return honest
        return (np.asarray([0.0, plan.value]), honest[1]) if plan.where == "obs" else (honest[0], plan.value)


def inject_into_agent(plan: Injection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between planner and environment, or into the hyperparameters of one fit."""
    step_envs, learn = Engine._step_envs, Engine._learn
    hit: dict[Engine, list[int]] = {}
    roll_out = Engine._roll_out

    def watched(self: Engine, jobs: Any, *rest: Any) -> Any:
        hit[self] = [lane for lane, job in jobs.items() if (job.seed, job.index) == (plan.seed, plan.episode)]
        return roll_out(self, jobs, *rest)

    def stepped(self: Engine, running: Any, rollout: Any, obs: Any, action: Any, t: int) -> None:
        if plan.where == "action" and t + 1 == plan.step:
            action = np.array(action)
            action[hit[self]] = plan.value
        step_envs(self, running, rollout, obs, action, t)

    def learned(self: Engine, jobs: Any, hypers: Any, rollout: Any) -> Any:
        if plan.where in ("learning_rate", "weight_decay"):
            getattr(hypers.model, plan.where)[hit[self]] = plan.value
        return learn(self, jobs, hypers, rollout)

    for name, function in (("_roll_out", watched), ("_step_envs", stepped), ("_learn", learned)):
        monkeypatch.setattr(engine.Engine, name, function)


@pytest.fixture(autouse=True)
def _one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    share_program(monkeypatch)


def study(path: Path, lanes: int) -> Study:
    tuner = {"name": "random-search", "num_trials": NUM_TRIALS}
    return run(Honest, path, tuner=tuner, engine={"lanes": lanes, "isolate": "none"}, validation={"num_episodes": 0})


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Study]:
    """Undisturbed studies, by lanes, as far as they were asked for."""
    made: dict[int, Study] = {}

    class Lazily(dict[int, Study]):
        def __missing__(self, lanes: int) -> Study:
            made[lanes] = self[lanes] = study(tmp_path_factory.mktemp("calm") / "run", lanes)
            return self[lanes]

    return Lazily()


def check_that_only_one_is_marked(plan: Injection, path: Path, calm: Study, lanes: int) -> None:
    disturbed = study(path, lanes)
    assert disturbed.is_done
    for trial in range(NUM_TRIALS):
        report, before = (one.tables.reports[SegmentId(f"{trial}.0")] for one in (disturbed, calm))
        if trial == plan.member:
            assert report.kind in plan.kinds
            assert report.checkpoint != before.checkpoint
            continue
        assert (report.status, report.checkpoint) == ("done", before.checkpoint)
        assert [episode.return_ for episode in report.episodes] == [episode.return_ for episode in before.episodes]


def test_there_are_fifty() -> None:
    assert len(set(map(repr, INJECTIONS))) == 50


@pytest.mark.parametrize("plan", INJECTIONS, ids=lambda plan: f"{plan.where}-{plan.value}-{plan.episode}-{plan.step}")
def test_only_the_member_is_marked(
    plan: Injection, tmp_path: Path, calm: dict[int, Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its report has the kind; the checkpoints of all others are the undisturbed study's, digest by digest."""
    undisturbed = calm[1]
    monkeypatch.setattr(Honest, "injection", plan)
    inject_into_agent(plan, monkeypatch)
    check_that_only_one_is_marked(plan, tmp_path / "run", undisturbed, lanes=1)


@pytest.mark.parametrize("where", ["obs", "action", "weight_decay"])
def test_neighbours_in_one_program_do_not_notice(
    where: str, tmp_path: Path, calm: dict[int, Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two lanes side by side: the same."""
    undisturbed = calm[2]
    plan = Injection(where, math.nan, member=1, episode=1)
    monkeypatch.setattr(Honest, "injection", plan)
    inject_into_agent(plan, monkeypatch)
    check_that_only_one_is_marked(plan, tmp_path / "run", undisturbed, lanes=2)
