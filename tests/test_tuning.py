"""What a run must be able to cover, whatever the space and the schedule."""

from collections.abc import Sequence
from pathlib import Path

from cartwheel.records import Config
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.spec import StudySpec
from cartwheel.tuning import Running, corners, rerun, tune
from synthetic_executor import SyntheticBackend, small_spec


def test_corners_hold_every_end_and_every_choice() -> None:
    """A choice's largest value may stand in its middle: the program must cover it all the same."""
    parameters = {
        "plan_horizon": {"kind": "choice", "values": [2, 30, 3], "default": 2, "group": "planner"},
        "num_samples": {"kind": "int", "low": 8, "high": 16, "default": 8, "group": "planner"},
    }
    spec = StudySpec.model_validate({"env_id": "line", "num_episodes": 1, "space": {"parameters": parameters}})
    configs = corners(spec)
    assert {config["plan_horizon"] for config in configs} == {2, 30, 3}
    assert {config["num_samples"] for config in configs} == {8, 16}


def test_a_rerun_may_be_longer_than_its_study(tmp_path: Path) -> None:
    """The agent's program is made for all episodes of the schedule."""
    tune(small_spec(), tmp_path / "run", Running(backend=SyntheticBackend()))
    asked: list[int] = []

    class Backend(SyntheticBackend):
        def check(self, spec: StudySpec, reachable: Sequence[Config]) -> None:
            super().check(spec, reachable)
            asked.append(spec.num_episodes)

    config = small_spec().make_space().default
    schedule = Schedule((Piece(0, 7, config),))
    study = rerun(tmp_path / "run", schedule, name="long", num_seeds=1, running=Running(backend=Backend()))
    assert study.is_done
    assert asked == [7]
