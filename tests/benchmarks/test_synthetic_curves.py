"""The formula, the clock and the books of the synthetic learning curves: docs/decisions/0003."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize

from benchmarks.synthetic_curves.agent import FormulaAgent
from benchmarks.synthetic_curves.arms import ARMS, run_arm
from benchmarks.synthetic_curves.formula import (
    BUDGET_EPISODES,
    DRIFTS,
    MAX_AGE,
    NUM_LANES,
    SCENARIOS,
    SPACE,
    Drift,
    Scenario,
    best_schedule,
    best_static,
    draw_world,
    performances,
    suitability,
)
from benchmarks.synthetic_curves.gates import gates, needed
from benchmarks.synthetic_curves.publish import filled_guide
from benchmarks.synthetic_curves.running import run_all
from benchmarks.synthetic_curves.study import Result
from benchmarks.synthetic_curves.summary import summary, write_summary
from benchmarks.synthetic_curves.table import Job, Table, all_jobs, read_table, row
from cartwheel.records import Segment, SegmentId, ShrinkPerturb, Sources

CALM = Scenario("moderate", "low", "off")
every_drift = pytest.mark.parametrize("drift", DRIFTS)


@every_drift
def test_the_best_schedule_is_what_the_sums_say(drift: Drift) -> None:
    """Always at the optimum, 1 - a is a product and b a sum of what was known before, forgotten at a constant rate."""
    world = draw_world(3, drift)
    ages = np.arange(1, MAX_AGE + 1)
    known = 1 - np.cumprod(1 - world.knowledge_rates[ages])
    kept = (1 - world.proficiency_rate) ** (ages[:, None] - ages[None, :])
    expected = world.proficiency_rate * np.tril(kept) @ known
    np.testing.assert_allclose(best_schedule(world), 100 * expected, rtol=1e-12)


@every_drift
def test_nothing_beats_the_best_schedule(drift: Drift) -> None:
    """Neither single configs nor schedules that stay near the optimum, at any age."""
    world, rng = draw_world(4, drift), np.random.default_rng(0)
    near = np.clip(world.optima[:, None] + 0.05 * rng.standard_normal((MAX_AGE + 1, 200, len(SPACE))), 0, 1)
    best = best_schedule(world)[:, None]
    assert (performances(world, near) < best).all()
    assert (performances(world, rng.random((200, len(SPACE)))) < best).all()


@pytest.mark.parametrize("seed", [5, 6])
def test_the_best_static_value_is_found_by_a_simplex_search_too(seed: int) -> None:
    world = draw_world(seed, "strong")

    def loss(u: np.ndarray) -> float:
        return -float(performances(world, np.clip(u, 0, 1)[None])[-1, 0])

    found = optimize.minimize(loss, world.optima.mean(axis=0), method="Nelder-Mead", options={"maxiter": 400})
    assert best_static(world, seed)[-1] == pytest.approx(-found.fun, abs=0.01)


def test_worlds_are_as_the_record_says() -> None:
    """The optimum stays away from the edges, the best learning rate falls as far as stated, weights sum to 1."""
    for drift, lowest, highest in (("none", 0.0, 0.0), ("moderate", 0.225, 0.3), ("strong", 0.6, 0.8)):
        worlds = [draw_world(seed, drift) for seed in range(30)]
        optima = np.array([world.optima for world in worlds])
        fall = optima[:, 0, 0] - optima[:, -1, 0]
        assert optima.min() >= 0.1
        assert optima.max() <= 0.9
        assert (fall >= lowest - 1e-12).all()
        assert (fall <= highest + 1e-12).all()
        assert all(world.weights.sum() == pytest.approx(1.0) for world in worlds)
        assert [w.common for w in worlds] == [draw_world(seed, "none").common for seed in range(30)]


def test_a_learning_rate_far_too_large_destroys_skill() -> None:
    world = draw_world(0, "none")
    path = np.repeat(world.optima[:, None], 1, axis=1)
    path[40:, 0, 0] = 1.0
    course = performances(world, path)[:, 0]
    assert course[-1] < 0.2 * course[38]


def config(agent: FormulaAgent) -> dict[str, float | int | str | bool]:
    return SPACE.decode(agent.world.optima[20])


def test_skill_lies_in_the_checkpoint() -> None:
    """Cut into segments, or copied by another trial, an agent goes on from what it was."""
    agent = FormulaAgent(CALM, 1)
    agent.run(Segment(0, 0, config(agent), 0, 9), begun=0)
    agent.run(Segment(1, 0, config(agent), 0, 4), begun=0)
    middle = Segment(2, 0, config(agent), 4, 6, Sources.whole(Segment(1, 0, config(agent), 0, 4).id), "copy")
    agent.run(middle, begun=20)
    agent.run(Segment(1, 1, config(agent), 6, 9, Sources.whole(middle.id), "copy"), begun=30)
    parts = [agent.performed[name] for name in ("1.0", "2.0", "1.1")]
    assert list(itertools.chain(*parts)) == pytest.approx(agent.performed["0.0"])


def test_shrunk_weights_know_less() -> None:
    agent = FormulaAgent(CALM, 1)
    agent.run(Segment(0, 0, config(agent), 0, 4), begun=0)
    source = Sources.whole(SegmentId("0.0"))
    agent.run(Segment(0, 1, config(agent), 4, 5, source, "restart", ShrinkPerturb(0.0, 1.0)), begun=5)
    agent.run(Segment(1, 0, config(agent), 0, 1), begun=0)
    # who begins anew at 4 learns like a newborn, but for the slower pace of that age
    slower = agent.world.knowledge_rates[5] / agent.world.knowledge_rates[1]
    suits, _ = suitability(agent.world, SPACE.encode(config(agent)), np.array([1, 5]))
    expected = agent.performed[SegmentId("1.0")][0] * slower * (suits[1] / suits[0]) ** 2
    assert agent.performed[SegmentId("0.1")][0] == pytest.approx(expected)


@pytest.mark.parametrize("begun", [0, 5])
def test_a_common_collapse_halves_whoever_runs_then(begun: int) -> None:
    """In that unit of time, whatever the agent's age. The random episode takes a unit, too."""
    agent, calm = FormulaAgent(Scenario("none", "low", "common"), 2), FormulaAgent(Scenario("none", "low", "off"), 2)
    segment = Segment(0, 0, config(agent), 0, MAX_AGE)
    agent.run(segment, begun)
    calm.run(segment, begun)
    shares = np.array(agent.performed[segment.id]) / np.array(calm.performed[segment.id])
    struck = agent.world.common[0] - begun - 1
    np.testing.assert_allclose(shares[: struck - 1], 1.0)
    assert shares[struck - 1] == pytest.approx(0.5)


def test_who_is_paused_is_spared() -> None:
    agent, calm = FormulaAgent(Scenario("none", "low", "common"), 2), FormulaAgent(Scenario("none", "low", "off"), 2)
    early = Segment(0, 0, config(agent), 0, 4)
    late = Segment(0, 1, config(agent), 4, 10, Sources.whole(early.id), "continue")
    for one in (agent, calm):
        one.run(early, 0)
        one.run(late, agent.world.common[0])
    assert agent.performed == calm.performed


def test_individual_collapses_are_as_rare_as_stated() -> None:
    """Twice as many, or half as many, in 8,100 episodes would be 8 standard deviations off."""
    agent = FormulaAgent(Scenario("none", "low", "individual"), 3)
    calm = FormulaAgent(Scenario("none", "low", "off"), 3)
    num_halved = 0
    for trial in range(100):
        segment = Segment(trial, 0, config(agent), 0, MAX_AGE)
        agent.run(segment, 0)
        calm.run(segment, 0)
        course = np.array(agent.performed[segment.id])
        num_halved += int((course[1:] < 0.7 * course[:-1]).sum())
    assert 40 < num_halved < 160


def test_noise_is_on_returns_only() -> None:
    """Its size is 2 for a half proficient agent at low noise, and a quarter of that at the start."""
    agent = FormulaAgent(CALM, 4)
    errors = {1: [], 12: []}
    for trial in range(2000):
        report = agent.run(segment := Segment(trial, 0, config(agent), 0, 12), 0)
        for age, found in errors.items():
            found.append(report.episodes[age].return_ - agent.performed[segment.id][age - 1])
    for age, found in errors.items():
        b = agent.performed[segment.id][age - 1] / 100
        assert np.std(found) == pytest.approx(2 * (0.25 + 3 * b * (1 - b)), rel=0.06)
        assert abs(np.mean(found)) < 0.2


@pytest.mark.parametrize("arm", [name for name, arm in ARMS.items() if arm.num_seeds == 100])
def test_no_arm_spends_more_than_the_budget(arm: str) -> None:
    """And populations of as many members as there are lanes spend all of it."""
    result = run_arm(arm, CALM, 0)
    assert result.spent_episodes <= BUDGET_EPISODES
    assert result.age <= MAX_AGE
    assert 0 <= result.final <= 100
    if ARMS[arm].settings.get("population") == NUM_LANES:
        assert result.spent_episodes == BUDGET_EPISODES == NUM_LANES * (MAX_AGE + 1)


def test_collapses_strike_random_search_as_the_sums_say() -> None:
    """Its 16 trials run side by side from time 0, so all are struck at both moments, and nothing undoes it."""
    struck, spared = (run_arm("random-search", Scenario("none", "low", kind), 7) for kind in ("common", "off"))
    assert struck.final < 0.75 * spared.final


def filled(values: dict[tuple[str, str], float]) -> Table:
    """A made-up table for low noise: five seeds around one final for every scenario and arm."""
    table = Table()
    for scenario, arm in needed("low"):
        for seed in range(5):
            final = values[f"{scenario.drift}-{scenario.collapses}", arm] + 0.1 * seed
            table.add(Job(scenario, arm, seed), Result(final, final, MAX_AGE, BUDGET_EPISODES))
    return table


GOOD = {
    ("strong-off", "best-static"): 40.0,
    ("strong-off", "pbt"): 50.0,
    ("none-off", "random-search"): 80.0,
    ("none-off", "pbt"): 79.5,
    ("none-off", "pbt-bt"): 80.0,
    ("none-common", "pbt"): 50.0,
    ("none-common", "pbt-bt"): 78.0,
}


@pytest.mark.parametrize(
    ("changed", "num_failing"),
    [
        ({}, 0),
        ({("strong-off", "pbt"): 39.9}, 1),
        ({("none-off", "pbt"): 78.8}, 1),
        ({("none-common", "pbt-bt"): 71.0}, 1),
        ({("none-common", "pbt"): 76.0}, 1),
        ({("none-common", "pbt"): 78.0}, 2),
    ],
)
def test_gates_fail_when_they_should(changed: dict[tuple[str, str], float], num_failing: int) -> None:
    assert sum(not gate.is_met for gate in gates(filled({**GOOD, **changed}), "low")) == num_failing


def test_what_is_there_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even after a kill in the middle of a line; and the table that comes out is that of an uninterrupted run."""
    raw = tmp_path / "raw.csv"
    jobs = all_jobs(["best-schedule", "random-search", "fixed"], 2)
    run_all(jobs[:50], raw, 1)
    raw.write_text(raw.read_text()[:-4])
    rest = [job for job in jobs if job not in read_table(raw)]
    assert len(rest) == len(jobs) - 49
    run_all(rest, raw, 1)
    table = read_table(raw)
    assert all(row(job, run_arm(job.arm, job.scenario, job.seed)) for job in jobs[:3])
    lines = list(summary(table))
    assert [line.num_seeds for line in lines] == [2] * len(SCENARIOS) * 3
    assert all(line.regret.point == pytest.approx(0) for line in lines if line.arm == "best-schedule")
    assert all(line.gain.point == 0 for line in lines if line.arm == "random-search")
    write_summary(lines, tmp_path / "summary.csv")
    assert len((tmp_path / "summary.csv").read_text().splitlines()) == 1 + len(lines)


def test_the_guide_shows_what_was_written() -> None:
    """Its tables are those of the published results."""
    docs = Path(__file__).parents[2] / "docs"
    assert filled_guide(docs) == (docs / "choosing.md").read_text()
