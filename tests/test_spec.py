"""Study files: what is accepted, what is refused and how it is said."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartwheel.errors import ConfigError
from cartwheel.spec import StudySpec, differences, load_spec, parse_spec, parse_value
from cartwheel.toml_text import toml_text
from cartwheel.user_files import MAX_FILE_BYTES

LEAST: dict[str, Any] = {"env_id": "line", "num_episodes": 4}
FULL = """
seed = 1
env_id = "cartpole-swingup"
num_episodes = 15
episode_length = 100

[tuner]
name = "pbt"
population = 4

[space.parameters.learning_rate]
kind = "float"
low = 1e-5
high = 1e-2
log = true
default = 1e-3
group = "model"

[agent]
planner = "icem"
alpha = 0.2

[engine]
lanes = 8

[validation]
num_episodes = 0
"""


def refused(table: dict[str, Any], overrides: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_spec(table, overrides or {}, "study.toml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_resolved_study_file_gives_the_same_study() -> None:
    """What is written into the run folder, read again, is equal."""
    for table in (LEAST, tomllib.loads(FULL)):
        spec = parse_spec(table, {})
        assert parse_spec(tomllib.loads(spec.to_toml()), {}) == spec


def test_defaults_are_resolved_into_the_file() -> None:
    """Nothing that decides results is left to a later version's defaults."""
    table = tomllib.loads(parse_spec(LEAST, {}).to_toml())
    assert table["engine"] == {
        "lanes": 1,
        "max_call_s": 300.0,
        "executor": "inline",
        "isolate": "foreign",
        "deterministic": False,
        "whole_episodes": False,
    }
    assert table["space"] == {"name": "small", "tune": "joint"}
    assert table["seed"] == 0


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ({}, "small"),
        ({"planner": "icem"}, "small"),
        ({"planner": "cem"}, "small-cem"),
        ({"planner": "mppi"}, "small-mppi"),
        ({"preset": "mbrl-lib"}, "small-cem"),
        ({"preset": "mbrl-lib", "planner": "mppi"}, "small-mppi"),
        ({"preset": "default"}, "small"),
        ({"planner": "random-shooting"}, "small-random-shooting"),
        ({"planner": "unknown"}, "small"),
    ],
)
def test_a_planners_own_small_space_is_the_default(agent: dict[str, Any], name: str) -> None:
    """Choosing a planner chooses what is tuned, unless a space is given."""
    assert parse_spec({**LEAST, "agent": agent, "space": {"tune": "planner"}}, {}).space.name == name
    assert StudySpec(**LEAST, agent=agent).space.name == name
    assert parse_spec({**LEAST, "agent": agent, "space": {"name": "aistats2021-pusher"}}, {}).space.name != name
    own = {"alpha": {"kind": "float", "low": 0.0, "high": 1.0, "default": 0.5}}
    assert parse_spec({**LEAST, "agent": agent, "space": {"parameters": own}}, {}).space.name is None


def test_overrides_replace_values_of_the_file(tmp_path: Path) -> None:
    """Dotted keys reach into tables and may make new ones; the file's other values stay."""
    path = tmp_path / "study.toml"
    path.write_text(FULL)
    spec = load_spec(path, {"tuner.population": "8", "agent.planner": "cem", "seed": "5"})
    assert spec.tuner.settings == {"population": 8}
    assert spec.agent == {"planner": "cem", "alpha": 0.2}
    assert (spec.seed, spec.env_id) == (5, "cartpole-swingup")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        ("1e-3", 1e-3),
        ("true", True),
        ("Hopper-v5", "Hopper-v5"),
        ('"8"', "8"),
        ("[1, 2]", [1, 2]),
        ("00143", "00143"),
        ("1\nseed = 2", "1\nseed = 2"),
        ("", ""),
    ],
)
def test_an_override_means_what_toml_says_or_itself(text: str, value: object) -> None:
    """Numbers are numbers, words need no quotes, nothing is octal, and no override smuggles in another key."""
    found = parse_value(text)
    assert found == value
    assert type(found) is type(value)


def test_an_unknown_key_is_refused_with_the_closest_match() -> None:
    """At any depth; the message says where."""
    assert "unknown key 'sede': did you mean 'seed'? (study.toml: sede)" in refused({**LEAST, "sede": 1})
    message = refused({**LEAST, "engine": {"lane": 1}})
    assert "unknown key 'lane': did you mean 'lanes'? (study.toml: engine.lane)" in message


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"num_episodes": 0}, ["greater than or equal to 1", "got 0", "study.toml: num_episodes"]),
        ({"seed": -1}, ["got -1", "seed"]),
        ({"seed": "1"}, ["integer", "got '1'", "seed"]),
        ({"num_episodes": True}, ["integer", "num_episodes"]),
        ({"engine": {"lanes": 1000}}, ["got 1000", "engine.lanes"]),
        ({"agent": {"alpha": ["1"]}}, ["list of numbers", "agent.alpha"]),
        ({"agent": {"alpha": float("nan")}}, ["finite", "agent.alpha"]),
        ({"space": {"tune": "all"}}, ["'model', 'planner' or 'joint'", "space.tune"]),
        ({"space": {"name": "small", "parameters": {"x": {}}}}, ["not both", "space"]),
        ({"space": {"parameters": {"x": {}}, "defaults": {"x": 1}}}, ["own parameters have a default each", "space"]),
        ({"tuner": "pbt"}, ["tuner"]),
        ({"env_id": ""}, ["env_id"]),
    ],
)
def test_a_bad_value_is_refused_with_its_place(changes: dict[str, Any], parts: list[str]) -> None:
    """One line with cause, file and key."""
    message = refused({**LEAST, **changes})
    for part in parts:
        assert part in message


def test_a_bad_override_is_blamed_on_the_option() -> None:
    """Not on the file, where the value does not stand."""
    assert "(--engine.lanes)" in refused(LEAST, {"engine.lanes": "many"})
    assert "(--seed.x)" in refused({**LEAST, "seed": 1}, {"seed.x": "1"})


def test_what_is_missing_is_named() -> None:
    """A study needs an environment and a length."""
    assert "env_id is missing" in refused({"num_episodes": 3})


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"tuner": {"name": "ptb"}}, ["did you mean 'pbt'?"]),
        ({"tuner": {"name": "pbt", "populaton": 8}}, ["did you mean 'population'?"]),
        ({"tuner": {"name": "pbt", "population": 0}}, ["population must be at least 1"]),
        ({"space": {"name": "smal"}}, ["did you mean 'small'?"]),
        ({"space": {"parameters": {"x": {"kind": "float"}}}}, ["'x'", "missing key"]),
        ({"space": {"defaults": {"alpa": 0.1}}}, ["no parameter 'alpa'", "did you mean 'alpha'?", "space"]),
        ({"space": {"defaults": {"alpha": 0.9}}}, ["'alpha'", "default 0.9 is not between 0.0 and 0.4"]),
    ],
)
def test_unknown_tuners_spaces_and_settings_are_refused(changes: dict[str, Any], parts: list[str]) -> None:
    """The rooms that own these check them; the user sees the same kind of message."""
    with pytest.raises(ConfigError) as caught:
        parse_spec({**LEAST, **changes}, {}).make_tuner()
    for part in parts:
        assert part in str(caught.value)


def test_what_the_agent_table_fixes_is_not_tuned() -> None:
    """Fixing a hyperparameter takes it out of the space."""
    free, fixed = parse_spec(LEAST, {}).make_space(), parse_spec({**LEAST, "agent": {"alpha": 0.1}}, {}).make_space()
    assert set(free.names) - set(fixed.names) == {"alpha"}
    planner = parse_spec({**LEAST, "space": {"tune": "planner"}}, {}).make_space()
    assert "learning_rate" not in planner.names


@pytest.mark.parametrize("content", [b"seed = ", b"\xff\xfe", b"x = " + b"[" * 5000, b"#" * (MAX_FILE_BYTES + 1)])
def test_a_file_that_is_no_study_is_refused(tmp_path: Path, content: bytes) -> None:
    """Not TOML, not text, nested without end, or far too long: one clear error that names the file."""
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"study\.toml"):
        load_spec(path, {})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """With the name that was looked for."""
    with pytest.raises(ConfigError, match=r"nothing\.toml"):
        load_spec(tmp_path / "nothing.toml", {})


def test_only_growth_leaves_a_study_the_same() -> None:
    """More episodes extend it; everything else makes another one, and is named."""
    spec = parse_spec(LEAST, {})
    assert differences(spec, parse_spec({**LEAST, "num_episodes": 9}, {})) == []
    assert differences(spec, parse_spec({**LEAST, "num_episodes": 3}, {})) == [
        "num_episodes: 4 -> 3 (it can only grow)"
    ]
    other = parse_spec({**LEAST, "seed": 7, "tuner": {"name": "pbt", "population": 4}}, {})
    assert differences(spec, other) == ["seed: 0 -> 7", "tuner.population: None -> 4"]


def test_specs_cannot_be_changed() -> None:
    """A spec stands for a study from beginning to end."""
    with pytest.raises(ValueError, match="frozen"):
        StudySpec(**LEAST).seed = 3  # type: ignore[misc]


plain = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()
tables = st.recursive(
    st.dictionaries(st.text(), plain | st.lists(plain), min_size=1),
    lambda inner: st.dictionaries(st.text(), plain | inner, min_size=1),
    max_leaves=10,
)


@given(tables)
def test_toml_reads_back_what_was_written(table: dict[str, Any]) -> None:
    """Any values, any keys, any depth."""
    assert tomllib.loads(toml_text(table)) == table


def test_toml_has_no_none() -> None:
    """It is left out where a key may be missing, and refused where it may not."""
    assert toml_text({"a": None, "b": 1}) == "b = 1\n"
    with pytest.raises(TypeError):
        toml_text({"a": [None]})
