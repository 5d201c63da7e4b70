"""A comparison with its controls: the same effort, the same seeds, and never an old one for a new study."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from cartwheel.comparing import RANDOM_SEARCH, compare_with_controls, load_comparison
from cartwheel.errors import UsageError
from cartwheel.results import Study
from cartwheel.spec import StudySpec
from cartwheel.tuning import Running, tune
from synthetic_executor import SyntheticBackend, small_spec

Step = Callable[[Running], Study]


def run_step(title: str, num_episodes: int | None, step: Step) -> Study:
    return step(Running(backend=SyntheticBackend()))


def episodes(path: Path) -> int:
    return len(Study(path).to_frame()["return"])


@pytest.fixture
def spec() -> StudySpec:
    return small_spec()


def test_random_search_gets_as_many_episodes_and_other_draws(spec: StudySpec, tmp_path: Path) -> None:
    """Equal episodes in all; its configs are not those that the tuner's own population began with."""
    compare_with_controls(spec, tmp_path / "run", 2, 1, run_step)
    found, control = Study(tmp_path / "run"), Study(tmp_path / "run" / RANDOM_SEARCH)
    assert episodes(found.run_dir) == episodes(control.run_dir)
    first = [dict(segment.config) for segment in found.tables.segments.values() if segment.sources is None]
    assert all(dict(segment.config) not in first for segment in control.tables.segments.values())


def test_arms_share_their_seeds_and_the_found_one_is_last(spec: StudySpec, tmp_path: Path) -> None:
    """Three arms on the same two test seeds, each with as many evaluation episodes as the spec says."""
    comparison = compare_with_controls(spec, tmp_path / "run", 2, 1, run_step)
    assert comparison is not None
    arms = [summary.arm for summary in comparison.summaries]
    assert [arm.name for arm in arms] == ["default", RANDOM_SEARCH, "found"]
    assert {tuple(run.seed for run in arm.runs) for arm in arms} == {(0, 1)}
    assert {len(run.returns) for arm in arms for run in arm.runs} == {spec.validation.num_episodes}
    loaded = load_comparison(Study(tmp_path / "run"), spec)
    assert loaded is not None
    assert [dataclasses.asdict(s.arm) for s in loaded.summaries] == [dataclasses.asdict(arm) for arm in arms]


def test_a_study_that_went_on_has_no_old_comparison(spec: StudySpec, tmp_path: Path) -> None:
    """What was compared is not what the study has found since; comparing again works, in folders of its own."""
    compare_with_controls(spec, tmp_path / "run", 1, 1, run_step)
    longer = small_spec(num_episodes=5)
    tune(longer, tmp_path / "run", Running(backend=SyntheticBackend()))
    assert load_comparison(Study(tmp_path / "run"), longer) is None
    again = compare_with_controls(longer, tmp_path / "run", 1, 1, run_step)
    assert again is not None
    assert len(again.found.arm.configs) == 5


@pytest.mark.parametrize(("num_seeds", "num_validations"), [(0, 2), (2, 0)])
def test_nothing_to_compare_is_refused(num_seeds: int, num_validations: int, tmp_path: Path) -> None:
    """Without a fresh training, or without evaluating it, there is no comparison; nothing is run."""
    spec = small_spec(validation={"num_episodes": num_validations})
    with pytest.raises(UsageError, match="nothing to compare"):
        compare_with_controls(spec, tmp_path / "run", num_seeds, 1, run_step)
    assert not (tmp_path / "run").exists()
