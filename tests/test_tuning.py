"""What a run must be able to cover, whatever the space and the schedule."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cartwheel import tuning
from cartwheel.backend import AgentBackend
from cartwheel.errors import AlreadyOwned, ConfigError
from cartwheel.records import Config
from cartwheel.results import Study
from cartwheel.schedules.schedule import Piece, Schedule
from cartwheel.spec import StudySpec, load_spec, parse_spec
from cartwheel.store.run_folder import RunFolder
from cartwheel.tuning import Running, corners, rerun, spec_of, tune, with_own_defaults
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


def test_the_end_is_read_before_anybody_else_can_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the next process's beginning would be taken for this one's end: a study that is done would not be."""
    refused: list[str] = []

    def read(path: Path) -> Study:
        with pytest.raises(AlreadyOwned) as error:
            RunFolder.to_write(path)
        refused.append(error.value.cause)
        return Study(path)

    monkeypatch.setattr(tuning, "Study", read)
    assert tune(small_spec(), tmp_path / "run", Running(backend=SyntheticBackend())).is_done
    assert len(refused) == 1
    assert refused[0].startswith("the study is being run by")


class Own(SyntheticBackend):
    """Its agents have few epochs, a horizon beyond every range, and what no space has."""

    def own_config(self, _: StudySpec) -> Config:
        return {"num_epochs": 7, "plan_horizon": 900, "width": 64}


def defaults(run_dir: Path, backend: SyntheticBackend, **changes: Any) -> dict[str, Any]:
    """Where a study starts from, as it is written down."""
    tune(small_spec(**changes), run_dir, Running(backend=backend))
    with RunFolder.to_read(run_dir) as folder:
        return spec_of(folder).make_space().default


def test_a_named_space_starts_from_what_the_agent_has(tmp_path: Path) -> None:
    """Moved into the range; what the study file gives goes before, and what the agent does not say is the space's."""
    usual = small_spec().make_space().default
    own = defaults(tmp_path / "a", Own())
    assert own == {**usual, "num_epochs": 7, "plan_horizon": 40}
    given = defaults(tmp_path / "b", Own(), space={"name": "small", "defaults": {"num_epochs": 3}})
    assert given == {**own, "num_epochs": 3}
    model = defaults(tmp_path / "c", Own(), space={"name": "small", "tune": "model"})
    assert model == {name: own[name] for name in ("learning_rate", "weight_decay", "num_epochs")}
    parameters = {"num_epochs": {"kind": "int", "low": 1, "high": 9, "default": 2, "group": "model"}}
    assert defaults(tmp_path / "d", Own(), space={"parameters": parameters}) == {"num_epochs": 2}


def test_a_study_goes_on_from_where_it_started(tmp_path: Path) -> None:
    """Whatever agents have by then; other defaults make another study."""
    path = tmp_path / "run"
    own = defaults(path, Own())
    assert defaults(path, SyntheticBackend(), num_episodes=6) == own
    with pytest.raises(ConfigError, match=r"space\.defaults\.num_epochs: 7 -> 3"):
        defaults(path, Own(), num_episodes=6, space={"name": "small", "defaults": {"num_epochs": 3}})


@pytest.mark.parametrize(
    "changes",
    [
        {"space": {"name": "small", "tune": "planner", "defaults": {"num_epochs": 3}}},
        {"agent": {"num_epochs": 3}, "space": {"name": "small", "defaults": {"num_epochs": 4}}},
    ],
)
def test_defaults_of_what_is_not_tuned_are_no_other_study(tmp_path: Path, changes: dict[str, Any]) -> None:
    """They have no effect, and the same file goes on with the study."""
    first = defaults(tmp_path, Own(), **changes)
    assert "num_epochs" not in first
    assert defaults(tmp_path, Own(), num_episodes=6, **changes) == first


def test_the_default_config_of_fixed_is_the_agents_own(tmp_path: Path) -> None:
    """So the control called default and new agents without a config are the same."""
    study = tune(small_spec(tuner={"name": "fixed", "num_trials": 1}), tmp_path, Running(backend=Own()))
    assert study.best.config["num_epochs"] == 7


PAPERS_SPACES = {
    "cartpole-swingup": "aistats2021-cartpole-shape",
    "pets-reacher3d": "aistats2021-reacher-shape",
    "pets-pusher": "aistats2021-pusher-shape",
    "pets-halfcheetah": "aistats2021-halfcheetah-shape",
    "pets-hopper": "aistats2021-halfcheetah-shape",
}


@pytest.mark.parametrize("task", PAPERS_SPACES)
def test_the_papers_agents_start_where_its_spaces_do(task: str) -> None:
    """Two tables from one publication: the preset's, and the space's defaults."""
    study = {
        "env_id": task,
        "num_episodes": 1,
        "agent": {"preset": "aistats2021"},
        "space": {"name": PAPERS_SPACES[task]},
    }
    spec = StudySpec.model_validate(study)
    begun = with_own_defaults(spec, AgentBackend(has_compile_cache=False))
    assert begun.make_space() == spec.make_space()
    assert set(begun.space.defaults) == set(spec.make_space().names)


def test_a_task_of_its_own_settings_starts_from_them() -> None:
    spec = StudySpec.model_validate({"env_id": "Pendulum-v1", "num_episodes": 1})
    backend = AgentBackend(has_compile_cache=False)
    begun = with_own_defaults(spec, backend).make_space().default
    assert {name: backend.own_config(spec)[name] for name in begun} == begun
    assert begun["noise_exponent"] == 2.0 != spec.make_space().default["noise_exponent"]


class OfItsTime(SyntheticBackend):
    """Its agents have so many epochs where nobody says otherwise."""

    def __init__(self, num_epochs: int) -> None:
        super().__init__()
        self.num_epochs = num_epochs

    def agent_defaults(self, *_: object) -> Config:
        return {"num_epochs": self.num_epochs, "width": 64}


def test_agents_keep_the_defaults_that_they_began_with(tmp_path: Path) -> None:
    """Whatever a task's are by then; so do those that are trained anew. What the study says goes before."""
    path = tmp_path / "run"
    begun = tune(small_spec(agent={"width": 32}), path, Running(backend=OfItsTime(5)))
    later = Running(backend=OfItsTime(20))
    assert tune(small_spec(agent={"width": 32}, num_episodes=6), path, later).is_done
    assert rerun(path, num_seeds=1, running=later).is_done
    for folder in (begun.run_dir, path / "reruns" / "found"):
        with RunFolder.to_read(folder) as of:
            assert spec_of(of).agent_settings == {"num_epochs": 5, "width": 32}


def test_another_agent_has_defaults_of_its_own(tmp_path: Path) -> None:
    """A study file brings its own along, but not for another task, preset or planner."""
    tune(small_spec(), tmp_path / "run", Running(backend=OfItsTime(5)))
    file = tmp_path / "run" / "study.toml"
    assert load_spec(file, {"seed": "9"}).agent_defaults == {"num_epochs": 5, "width": 64}
    for option, value in (("env_id", "Pendulum-v1"), ("agent.preset", "mbrl-lib"), ("agent.planner", "cem")):
        assert load_spec(file, {option: value}).agent_defaults == {}


@pytest.mark.parametrize(
    ("task", "agent"),
    [
        ("cartpole-swingup", {}),
        ("pets-halfcheetah", {"width": 32}),
        ("pets-reacher3d", {"preset": "handful-of-trials"}),
        ("InvertedPendulum-v5", {"preset": "mbrl-lib"}),
        ("Pendulum-v1", {"planner": "mppi"}),
        ("line", {"planner": "random-shooting"}),
    ],
)
def test_what_is_written_down_makes_the_same_agent(task: str, agent: dict[str, Any]) -> None:
    backend = AgentBackend(has_compile_cache=False)
    spec = StudySpec.model_validate({"env_id": task, "num_episodes": 1, "agent": agent})
    told = spec.with_agent_defaults(backend.agent_defaults(spec, corners(spec), ()))
    assert told.agent_defaults.keys() >= {"num_epochs", "width"} - agent.keys()
    assert backend.own_config(told) == backend.own_config(spec)
    read = parse_spec(tomllib.loads(told.to_toml()), {})
    assert backend.own_config(read) == backend.own_config(spec)


def test_planners_that_are_tuned_share_no_defaults() -> None:
    """Where the planner is one of the choices, what belongs to one of them is no default of another."""
    planner = {"kind": "choice", "values": ["icem", "cem"], "default": "icem", "group": "planner"}
    table = {"env_id": "line", "num_episodes": 1, "space": {"parameters": {"planner": planner}}}
    spec = StudySpec.model_validate({**table, "tuner": {"name": "random-search"}})
    found = AgentBackend(has_compile_cache=False).agent_defaults(spec, corners(spec), ())
    assert "num_epochs" in found
    assert "initial_std" not in found
