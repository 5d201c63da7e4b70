"""The protocol: three families of seeds, both questions apart, pairs over arms, and resuming where it stood."""

import json
from pathlib import Path

import pytest

from cartwheel.analysis.tables import validation_means
from cartwheel.errors import ConfigError, StorageError
from cartwheel.evidence.controls import CONTROLS, DEFAULT, SELECTION_ONLY, control
from cartwheel.evidence.protocol import (
    TESTS,
    HowTested,
    followed,
    found_name,
    put_to_test,
    read_agent_test,
    tuned,
)
from cartwheel.evidence.reading import arm_names, read_studies
from cartwheel.executors.work import Work
from cartwheel.records import Evaluation
from cartwheel.results import Study
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.tuning import Running, follow
from evidence_steps import Steps
from synthetic_executor import SyntheticBackend, small_spec

TESTED = HowTested(num_seeds=3, num_episodes=2)


def run(folder: Path, steps: Steps | None = None) -> Study:
    steps = steps or Steps()
    study = tuned(small_spec(), folder, "tuning", steps)
    assert put_to_test(study, TESTED, "pbt", steps)
    return study


def test_agent_and_schedule_are_tested_apart(tmp_path: Path) -> None:
    """The checkpoint plays on every test seed, and a new agent is trained for each; neither is the score of tuning."""
    run(tmp_path / "run")
    (one,) = read_studies([tmp_path / "run"])
    assert set(one.result.agent) == set(one.result.rerun) == {0, 1, 2}
    assert set(one.result.agent.values()).isdisjoint(one.result.rerun.values())
    kept = read_agent_test(tmp_path / "run")
    assert kept is not None
    assert {len(values) for values in kept.returns.values()} == {2}


def test_the_three_families_of_seeds_share_no_name(tmp_path: Path) -> None:
    """What is tuned, validated and tested is addressed by names that no other family has."""
    made: list[SyntheticBackend] = []

    def step(title, num_episodes, action):  # type: ignore[no-untyped-def]
        made.append(SyntheticBackend())
        return action(Running(backend=made[-1]))

    assert put_to_test(tuned(small_spec(), tmp_path / "run", "", step), TESTED, "", step)
    submitted: list[Work] = [work for backend in made for executor in backend.made for work in executor.submitted]
    families = {
        (isinstance(work.item, Evaluation), work.seed[1] if work.seed[0] == 3 else work.seed[0]) for work in submitted
    }
    assert families == {(False, "tune"), (True, "validation"), (True, "test-evaluation"), (False, "test")}


def test_keys_of_reruns_depend_on_test_seed_and_episode_only(tmp_path: Path) -> None:
    """Two schedules of one, and of three, pieces: the same names in the same episodes, so arms are paired."""
    config = {"learning_rate": 1e-3}
    one = Schedule((Piece(0, 4, config),))
    three = Schedule((Piece(0, 1, config), Piece(1, 2, {"learning_rate": 2e-3}), Piece(2, 4, config)))
    seeds = []
    for name, schedule in (("one", one), ("three", three)):
        backend = SyntheticBackend()
        follow(tmp_path / name, "test", small_spec(), schedule, [0, 1], Running(backend=backend))
        works = backend.made[0].submitted
        seeds.append({(work.seed, isinstance(work.item, Evaluation)) for work in works})
    assert (
        seeds[0]
        == seeds[1]
        == {(("test", k), False) for k in (0, 1)} | {(("test-evaluation", k), True) for k in (0, 1)}
    )


def test_the_incumbent_is_chosen_by_validation_and_reported_on_test(tmp_path: Path) -> None:
    study = run(tmp_path / "run")
    means = validation_means(study.tables)
    assert study.best.segment == max(means, key=lambda id_: means[id_])
    kept = read_agent_test(tmp_path / "run")
    assert kept is not None
    assert kept.checkpoint == study.best.checkpoint


def test_nothing_is_run_twice(tmp_path: Path) -> None:
    """The same call again only reads; more test seeds run the missing ones."""
    run(tmp_path / "run")
    again = Steps()
    run(tmp_path / "run", again)
    assert again.titles == []
    assert put_to_test(Study(tmp_path / "run"), HowTested(4, 2), "more", again)
    assert again.titles == ["more: testing the agent", "more: training anew"]
    (one,) = read_studies([tmp_path / "run"])
    assert set(one.result.rerun) == {0, 1, 2, 3}


def test_what_was_trained_otherwise_is_refused(tmp_path: Path) -> None:
    """Another schedule in the same place, or evaluations of another length, are no test of what was asked for."""
    study = run(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"validation\.num_episodes: 2 -> 5"):
        put_to_test(study, HowTested(TESTED.num_seeds, 5), "", Steps())
    path, spec = tmp_path / "followed", small_spec()
    first, second = (Schedule((Piece(0, 4, {"learning_rate": rate}),)) for rate in (1e-3, 2e-3))
    assert followed(path, spec, first, TESTED, "", Steps())
    again = Steps()
    assert followed(path, spec, first, TESTED, "", again)
    assert again.titles == []
    with pytest.raises(ConfigError, match="another schedule"):
        followed(path, spec, second, TESTED, "", Steps())


@pytest.mark.parametrize("stop_at", [0, 1, 2])
def test_what_was_stopped_goes_on_and_ends_the_same(stop_at: int, tmp_path: Path) -> None:
    stopping = Steps(stop_at)
    study = tuned(small_spec(), tmp_path / "stopped", "tuning", stopping)
    assert not (study.is_done and put_to_test(study, TESTED, "pbt", stopping))
    run(tmp_path / "stopped")
    run(tmp_path / "whole")
    (stopped,), (whole,) = read_studies([tmp_path / "stopped"]), read_studies([tmp_path / "whole"])
    assert (stopped.result.agent, stopped.result.rerun) == (whole.result.agent, whole.result.rerun)


def test_a_study_that_went_on_is_tested_anew(tmp_path: Path) -> None:
    """Old tests are of an old incumbent."""
    run(tmp_path / "run")
    longer = tuned(small_spec(num_episodes=6), tmp_path / "run", "on", Steps())
    (one,) = read_studies([tmp_path / "run"])
    assert (one.result.agent, one.result.rerun) == ({}, {})
    assert found_name(longer) == "found-6"
    assert put_to_test(longer, TESTED, "", Steps())


def test_controls_cost_as_much_and_draw_anew(tmp_path: Path) -> None:
    """Equal episodes in all, other seeds; selection-only keeps the rhythm of the study's own tuner."""
    study, spec = run(tmp_path / "run"), small_spec()
    for name in CONTROLS:
        made = control(study, spec, name)
        assert made is not None
        assert made.seed != spec.seed
        own = tuned(made, tmp_path / name, name, Steps())
        assert len(own.to_frame()["return"]) == len(study.to_frame()["return"])
    selection = control(study, spec, SELECTION_ONLY)
    assert selection is not None
    assert selection.tuner.settings["interval_episodes"] == 2
    default = Study(tmp_path / DEFAULT)
    assert all(s.config == spec.make_space().default for s in default.tables.segments.values())


def test_arms_are_named_by_what_tells_them_apart() -> None:
    """The tuner, and what differs but the seed."""
    pbt, other_seed = small_spec().to_dict(), small_spec(seed=9).to_dict()
    model = small_spec(space={"name": "small", "tune": "model"}).to_dict()
    assert arm_names([pbt, other_seed]) == ["pbt", "pbt"]
    assert arm_names([pbt, model]) == ["pbt (tune joint)", "pbt (tune model)"]
    spec = small_spec()
    begun = [spec.with_agent_defaults({"width": width, "num_epochs": 5}).to_dict() for width in (32, 64)]
    assert arm_names(begun) == ["pbt (width 32)", "pbt (width 64)"]
    narrow = small_spec(agent={"width": 32}).to_dict()  # begun before defaults were written down
    assert arm_names([begun[0], narrow]) == ["pbt", "pbt"]
    assert arm_names([begun[1], narrow]) == ["pbt (width 64)", "pbt (width 32)"]


def test_a_broken_record_of_tests_is_named(tmp_path: Path) -> None:
    run(tmp_path / "run")
    (tmp_path / "run" / TESTS / "agent.json").write_text(json.dumps({"returns": 3}))
    with pytest.raises(StorageError, match="not the test of an agent"):
        read_agent_test(tmp_path / "run")
