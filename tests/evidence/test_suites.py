"""Suites: from one file to tested studies, resumable as one; transfers and ablations on the way."""

import dataclasses
from pathlib import Path

import pytest

from cartwheel.analysis.transfer import matrix, prices, simplifying, with_home
from cartwheel.errors import ConfigError, UsageError
from cartwheel.evidence.ablations import ablate, read_ablation
from cartwheel.evidence.protocol import HowTested, expected_episodes
from cartwheel.evidence.suite_spec import cells, load_suite
from cartwheel.evidence.suites import TRANSFERS, place, read_suite, run_suite
from cartwheel.evidence.transfers import fitted, kind_of, read_transfers, source_of_file, transfer
from cartwheel.results import Study
from cartwheel.schedules.files import ScheduleFile
from cartwheel.schedules.scaling import scaled
from cartwheel.schedules.schedule import Piece, Schedule
from evidence_steps import Steps
from synthetic_executor import small_spec

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "studies" / "suites").glob("*.toml"))
RELEASED = sorted((ROOT / "tests" / "data" / "learned_schedules").glob("*.json"))

SUITE = """
tuner_seeds = 2
num_agents = 3

[tests]
num_seeds = 2
num_episodes = 1

[study]
num_episodes = 3
engine = { lanes = 2 }
validation = { num_episodes = 1 }

[tasks.line]
[tasks.cartpole-swingup]
num_episodes = 2

[arms.default.tuner]
name = "fixed"
[arms.random-search.tuner]
name = "random-search"
[arms.pbt.tuner]
name = "pbt"
first_interval_episodes = 1
interval_episodes = 1

[transfer]
arms = ["pbt", "random-search"]
num_pieces = 1
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "suite.toml").write_text(SUITE)
    return tmp_path / "suite.toml"


def test_arms_tasks_and_seeds_make_studies_of_equal_size(path: Path) -> None:
    """Later tables win; whoever does not say how many agents gets the suite's; no two studies share a seed."""
    every = list(cells(load_suite(path), "suite"))
    assert len(every) == 2 * 2 * 3
    assert {(cell.task, cell.spec.num_episodes) for cell in every} == {("line", 3), ("cartpole-swingup", 2)}
    assert {expected_episodes(cell.spec) for cell in every if cell.task == "line"} == {3 * 4}
    assert len({cell.spec.seed for cell in every}) == len(every)
    assert [cell.tuner_seed for cell in every] == [1] * 6 + [2] * 6


def test_a_suite_runs_on_another_task_and_with_other_seeds(path: Path) -> None:
    suite = load_suite(path, env_id="Pendulum-v1", tuner_seeds=1, test_seeds=7)
    assert suite.how_tested == dataclasses.replace(load_suite(path).how_tested, num_seeds=7)
    assert {(cell.task, cell.tuner_seed) for cell in cells(suite, "")} == {("Pendulum-v1", 1)}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("num_agents = 3", "num_agent = 3"), "num_agents"),
        (('name = "pbt"', 'name = "pbd"'), "no known tuner"),
        (('"pbt", "random-search"]', '"pbd"]'), "did you mean 'pbt'"),
        (("num_episodes = 3", "num_episodes = 3\nseed = 1"), "the suite's to say"),
        (("interval_episodes = 1\n\n", "intervals = 1\n\n"), "intervals"),
        (("tuner_seeds = 2", "tuner_seeds = "), "not TOML"),
    ],
)
def test_what_is_wrong_is_named(change: tuple[str, str], told: str, path: Path) -> None:
    path.write_text(SUITE.replace(*change))
    with pytest.raises(ConfigError, match=told):
        load_suite(path)


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda shipped: shipped.stem)
def test_shipped_suites_can_be_put_together_at_equal_cost(shipped: Path) -> None:
    """On every task all arms train as many episodes in all, give or take a rung; five tuner seeds make claims."""
    suite = load_suite(shipped)
    totals: dict[str, list[int]] = {}
    for cell in cells(suite, str(shipped)):
        if cell.tuner_seed == 1:
            totals.setdefault(cell.task, []).append(expected_episodes(cell.spec))
    for of_task in totals.values():
        assert max(of_task) <= 1.05 * min(of_task)
    assert {"default", "random-search", "selection-only"} <= suite.arms.keys()
    assert suite.tuner_seeds >= 5 or shipped.stem == "smoke"
    assert suite.tests.num_seeds >= 10 or shipped.stem == "smoke"


def test_the_suites_that_are_promised_are_shipped() -> None:
    assert {shipped.stem for shipped in SHIPPED} >= {"smoke", "cpu", "paper", "groups"}
    paper = load_suite(next(shipped for shipped in SHIPPED if shipped.stem == "paper"))
    assert len(paper.tasks) == 5


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a suite that has run."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "suite.toml").write_text(SUITE)
    assert run_suite(load_suite(folder / "suite.toml"), folder, Steps())
    return folder


def test_a_whole_suite_is_tested_and_not_run_again(whole: Path) -> None:
    suite, again = load_suite(whole / "suite.toml"), Steps()
    assert run_suite(suite, whole, again)
    assert again.titles == []
    every = read_suite(suite, whole)
    assert [one.result.arm for one in every] == [cell.arm for cell in cells(suite, "")]
    assert all(set(one.result.agent) == set(one.result.rerun) == {0, 1} for one in every)


@pytest.mark.parametrize("stop_at", [1, 5, 8])
def test_a_suite_resumes_as_one(stop_at: int, whole: Path, tmp_path: Path) -> None:
    """Stopped anywhere, the same call goes on and ends as one that was never stopped, with fewer seeds or more."""
    suite = load_suite(whole / "suite.toml", tuner_seeds=1, env_id="line")
    assert not run_suite(suite, tmp_path / "suite", Steps(stop_at))
    assert run_suite(suite, tmp_path / "suite", Steps())
    uninterrupted = {(one.result.arm, one.result.tuner_seed): one.result for one in read_suite(suite, whole)}
    for one in read_suite(suite, tmp_path / "suite"):
        same = uninterrupted[one.result.arm, one.result.tuner_seed]
        assert (one.result.agent, one.result.rerun) == (same.agent, same.rerun)


def test_schedules_are_moved_to_all_tasks(whole: Path) -> None:
    """Every found schedule of the arms on both tasks, simplified ones beside them, against the default config there."""
    studies = read_suite(load_suite(whole / "suite.toml"), whole)
    moved, defaults = read_transfers(whole / TRANSFERS)
    assert all(one.source != one.target or "pieces" in one.arm for one in moved)  # at home they were tested
    moved = with_home(moved, [(s.result, kind_of(s)) for s in studies if s.result.arm != "default"])
    assert set(defaults) == {"line", "cartpole-swingup"}
    cells_ = matrix(moved, defaults)
    assert {(c.source, c.target) for c in cells_} == {(a, b) for a in defaults for b in defaults}
    assert {c.arm for c in cells_} >= {"pbt", "random-search"}
    assert all(cell.gain is not None and cell.num_test_seeds == 2 for cell in cells_)
    assert {(price.first, price.second) for price in prices(moved)} >= {("pbt", "random-search")}
    simple = {one.arm: one.whole for one in moved if one.whole}
    assert set(simple) == {one.arm for one in moved if "pieces" in one.arm}
    assert {(one.first, one.second) for one in simplifying(moved)} == set(simple.items())


@pytest.mark.parametrize("file", RELEASED, ids=lambda file: file.stem)
def test_released_schedules_are_moved_like_found_ones(file: Path, tmp_path: Path) -> None:
    """Cut to the length of the target's training."""
    if not file.stat().st_size:
        pytest.skip("not in this checkout")
    source = source_of_file(ScheduleFile(file))
    spec = small_spec(agent={"planner": "cem"})
    assert transfer([source], {"line": spec}, tmp_path, HowTested(2, 1), Steps())
    moved, _ = read_transfers(tmp_path)
    assert [(one.source, one.arm, one.kind) for one in moved] == [("a file", file.stem, source.kind)]
    assert set(moved[0].scores) == {0, 1}


def test_a_scaled_schedule_is_named_as_one(tmp_path: Path) -> None:
    """On the page and in the folder, beside the same schedule as it was found."""
    found = Schedule((Piece(0, 2, {"num_samples": 500}),))
    labels = []
    for name, schedule in (("a", found), ("b", scaled(found, {"num_samples": 0.096}))):
        (tmp_path / name).mkdir()
        file = tmp_path / name / "found.json"
        file.write_text(schedule.to_text())
        labels.append(source_of_file(ScheduleFile(file)))
    assert [one.arm for one in labels] == ["found", "found, num_samples x 0.096"]
    assert labels[0].slug != labels[1].slug


def test_schedules_are_fitted_to_the_training() -> None:
    """Longer ones are cut; of shorter ones the last config stays, and what was scaled is still said."""
    two = Schedule((Piece(0, 2, {"a": 1}), Piece(2, 4, {"a": 2})), {"a": 0.5})
    assert fitted(two, 3).scales == fitted(two, 9).scales == {"a": 0.5}
    assert fitted(two, 3).pieces == (Piece(0, 2, {"a": 1}), Piece(2, 3, {"a": 2}))
    assert fitted(two, 9).pieces == (Piece(0, 2, {"a": 1}), Piece(2, 9, {"a": 2}))


def test_an_ablation_goes_from_the_default_to_what_was_found(path: Path, tmp_path: Path) -> None:
    """Of 9 hyperparameters that differ, 45 trainings and the default's; the file says the same; it resumes."""
    suite, folder = load_suite(path), tmp_path / "suite"
    cell = next(c for c in cells(suite, "") if (c.arm, c.task) == ("random-search", "line"))
    assert run_suite(
        load_suite(path, tuner_seeds=1, env_id="line").model_copy(update={"transfer": None}), folder, Steps()
    )
    study, steps = Study(place(folder, cell)), Steps()
    assert ablate(study, HowTested(2, 1), Steps(stop_at=3)) is None
    found = ablate(study, HowTested(2, 1), steps)
    assert found is not None
    num = len(found.path)
    assert len(steps.titles) == 1 + num * (num + 1) // 2 - 3
    assert found.path[-1].name == "learning_rate"  # all that the synthetic agent heeds; its default is the best
    assert read_ablation(study.run_dir) == found
    again = Steps()
    ablate(study, HowTested(2, 1), again)
    assert again.titles == []


def test_there_is_nothing_to_ablate_of_the_default_config(path: Path, tmp_path: Path) -> None:
    suite = load_suite(path, tuner_seeds=1, env_id="line").model_copy(update={"transfer": None})
    assert run_suite(suite, tmp_path / "suite", Steps())
    default = next(c for c in cells(suite, "") if c.arm == "default")
    with pytest.raises(UsageError, match="nothing differs"):
        ablate(Study(place(tmp_path / "suite", default)), HowTested(2, 1), Steps())
