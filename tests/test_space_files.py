"""Spaces in other libraries' formats: nothing is lost on the way, and the libraries themselves read the files."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from cartwheel.errors import ConfigError
from cartwheel.space_files import read_space, space_from_json, space_text
from cartwheel.spaces.configspace import from_configspace_json, to_configspace_json
from cartwheel.spaces.named import SPACES as NAMED
from cartwheel.spaces.named import get_space
from cartwheel.spaces.optuna_distributions import from_optuna_json, to_optuna_json
from cartwheel.spaces.space import Choice, Float, Int, Ordinal, Space
from random_spaces import SPACES
from synthetic import RICH_SHAPED

some = settings(max_examples=60, deadline=None)
PRIOR = Float(1e-4, 1e-1, log=True, default=1e-3, group="planner", prior_std=0.2)
WIDE = Int(200, 700, log=True, default=500, group="planner", prior_std=0.01)


@some
@given(SPACES)
def test_nothing_is_lost_in_configspaces_format(space: Space) -> None:
    assert from_configspace_json(to_configspace_json(space)) == space


@some
@given(SPACES)
def test_nothing_is_lost_in_optunas_format(space: Space) -> None:
    assert from_optuna_json(to_optuna_json(space)) == space


@pytest.mark.parametrize("format_", ["configspace", "optuna"])
@pytest.mark.parametrize("space", [*NAMED.values(), RICH_SHAPED, Space({"wide": WIDE, "prior": PRIOR})])
def test_named_spaces_go_there_and_back(space: Space, format_: Any) -> None:
    again = space_from_json(space_text(space, format_))
    assert again == space
    assert again.to_dict() == space.to_dict()


def through_configspace(space: Space) -> Any:
    configspace = pytest.importorskip("ConfigSpace")
    return configspace.ConfigurationSpace.from_json(io.StringIO(to_configspace_json(space)))


@pytest.mark.parametrize("space", [*NAMED.values(), RICH_SHAPED])
def test_configspace_understands_the_file(space: Space) -> None:
    """Its defaults are ours, its draws lie in our space, and its conditions agree with ours about what acts."""
    theirs = through_configspace(space)
    acting = space.acting(space.default)
    assert dict(theirs.get_default_configuration()) == {name: space.default[name] for name in acting}
    theirs.seed(3)
    for drawn in theirs.sample_configuration(50):
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in dict(drawn).items()}
        config = {**space.default, **plain}
        assert space.acting(config) == plain.keys()
        space.check(space.clip(config))


@pytest.mark.parametrize("space", [*NAMED.values(), RICH_SHAPED])
def test_what_configspace_writes_is_read_back(space: Space) -> None:
    """It sorts hyperparameters by name, and keeps meta data."""
    buffer = io.StringIO()
    through_configspace(space).to_json(buffer)
    assert from_configspace_json(buffer.getvalue()) == space


def test_configspace_draws_from_our_prior() -> None:
    """The scale of its normal distribution on the unit interval is our prior_std."""
    linear = Float(-2.0, 6.0, default=1.0, group="model", prior_std=0.3)
    theirs = through_configspace(Space({"log": PRIOR, "linear": linear}))
    for name, std in (("log", 0.2), ("linear", 0.3)):
        assert theirs[name]._vector_dist.rv.kwds["scale"] == pytest.approx(std)
        assert theirs[name]._vector_dist.rv.kwds["loc"] == pytest.approx(1 / 3 if name == "log" else 3 / 8)


def test_a_prior_that_configspace_cannot_say_is_uniform_there_and_kept_for_us() -> None:
    item = json.loads(to_configspace_json(Space({"wide": WIDE})))["hyperparameters"][0]
    assert item["type"] == "uniform_int"
    assert item["meta"]["cartwheel"]["prior_std"] == 0.01


def foreign(conditions: Any = (), **changes: Any) -> str:
    """What ConfigSpace 1.2 wrote, without meta data."""
    size = {"type": "ordinal", "name": "size", "sequence": [1, 2, 4], "default_value": 2, "meta": None}
    mode = {
        "type": "categorical",
        "name": "mode",
        "choices": ["a", "b", "c"],
        "weights": None,
        "default_value": "b",
        "meta": None,
    }
    rate = {
        "type": "normal_float",
        "name": "rate",
        "mu": 2.0,
        "sigma": 1.0,
        "lower": 0.0,
        "upper": 4.0,
        "default_value": 2.0,
        "log": False,
        "meta": {"note": "x"},
        **changes,
    }
    data = {"name": None, "hyperparameters": [rate, size, mode], "conditions": list(conditions), "forbiddens": []}
    return json.dumps({**data, "format_version": 0.4})


def part(kind: str, parent: str, value: Any) -> dict[str, Any]:
    return {"type": kind, "child": "rate", "parent": parent, "value": value}


def test_a_configspace_of_others_gets_the_group_that_is_named() -> None:
    """And its parameters come before those that depend on them."""
    space = from_configspace_json(foreign([part("EQ", "mode", "a")]), "planner")
    assert space == Space(
        {
            "size": Ordinal((1, 2, 4), default=2, group="planner"),
            "mode": Choice(("a", "b", "c"), default="b", group="planner"),
            "rate": Float(0.0, 4.0, default=2.0, group="planner", prior_std=0.25, active_if={"mode": ("a",)}),
        }
    )


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (part("NEQ", "mode", "b"), {"mode": ("a", "c")}),
        (part("GT", "size", 1), {"size": (2, 4)}),
        (part("LT", "size", 4), {"size": (1, 2)}),
        ({"type": "IN", "child": "rate", "parent": "mode", "values": ["a", "b"]}, {"mode": ("a", "b")}),
        (
            {"type": "AND", "child": "rate", "conditions": [part("NEQ", "size", 1), part("LT", "size", 4)]},
            {"size": (2,)},
        ),
    ],
)
def test_comparisons_become_lists_of_values(condition: dict[str, Any], expected: Any) -> None:
    assert from_configspace_json(foreign([condition])).parameters["rate"].active_if == expected


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (foreign(mu=1.0), "hyperparameter 'rate': a normal prior is around the default 2.0, this one around 1.0"),
        (foreign(type="beta_float"), "hyperparameter 'rate': the type 'beta_float' has no counterpart"),
        (foreign(type="constant"), "hyperparameter 'rate': a constant is not tuned"),
        (foreign(default_value=7.0, mu=7.0), "hyperparameter 'rate': default 7.0 is not between"),
        (foreign([{"type": "OR", "child": "rate", "conditions": []}]), "only AND has a counterpart"),
        (foreign([part("GT", "rate", 1.0)]), "the condition of 'rate' does not depend on one of a few values"),
        (foreign([part("EQ", "mood", "a")]), "active_if: no parameter 'mood'"),
        (foreign([part("GT", "size", 3)]), "the condition of 'rate': 3 is not one of 1, 2, 4"),
        (foreign([part("EQ", "mode", "z")]), "'z' is not one of"),
        (foreign([{**part("EQ", "rate", 1.0)}]), "in a circle"),
        (foreign().replace("0.4}", "0.2}"), "format_version must be 0.4"),
        (foreign().replace('"forbiddens": []', '"forbiddens": [1]'), "forbidden clauses"),
        (foreign().replace("lower", "lowest"), "not the JSON of a ConfigSpace: KeyError 'lower'"),
        ('{"hyperparameters": 3}', "not the JSON of a ConfigSpace"),
        ("[]", "neither 'hyperparameters', as of ConfigSpace, nor 'distributions', as of Optuna"),
        ('{"distributions": 3}', "not the JSON of Optuna's distributions"),
        ('{"distributions": {"x": {"name": "Uniform", "attributes": {}}}}', "distribution 'x': 'Uniform' is none of"),
        ("{", "Expecting"),
    ],
)
def test_what_has_no_counterpart_is_refused(text: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        space_from_json(text)


@some
@given(SPACES)
def test_optuna_understands_the_distributions(space: Space) -> None:
    """Its own functions read each, and write it the same; its range, or its list of values, is ours."""
    optuna = pytest.importorskip("optuna")
    for name, told in json.loads(to_optuna_json(space))["distributions"].items():
        distribution = optuna.distributions.json_to_distribution(json.dumps(told))
        assert json.loads(optuna.distributions.distribution_to_json(distribution)) == told
        parameter: Any = space.parameters[name]
        ends = ("choices",) if hasattr(distribution, "choices") else ("low", "high", "log")
        ours = ("values",) if hasattr(distribution, "choices") else ends
        assert [getattr(distribution, end) for end in ends] == [getattr(parameter, end) for end in ours]


def test_optunas_distributions_of_others_get_defaults() -> None:
    optuna = pytest.importorskip("optuna").distributions
    made = {
        "rate": optuna.FloatDistribution(1e-4, 1e-2, log=True),
        "share": optuna.FloatDistribution(0.0, 1.0, step=0.25),
        "size": optuna.IntDistribution(2, 10, step=4),
        "layers": optuna.IntDistribution(1, 5),
        "mode": optuna.CategoricalDistribution(["x", "y"]),
    }
    told = {name: json.loads(optuna.distribution_to_json(each)) for name, each in made.items()}
    space = from_optuna_json(json.dumps({"distributions": told}), "planner")
    assert space.default == {"rate": pytest.approx(1e-3), "share": 0.5, "size": 6, "layers": 3, "mode": "x"}
    assert space.parameters["share"] == Ordinal((0.0, 0.25, 0.5, 0.75, 1.0), default=0.5, group="planner")
    assert space.parameters["size"] == Ordinal((2, 6, 10), default=6, group="planner")
    single = {"x": json.loads(optuna.distribution_to_json(optuna.IntDistribution(3, 3)))}
    with pytest.raises(ValueError, match="distribution 'x': it has a single value"):
        from_optuna_json(json.dumps({"distributions": single}))


def test_a_space_is_found_by_name_and_in_files(tmp_path: Path) -> None:
    """As the table of a study, too."""
    study, theirs = tmp_path / "study.toml", tmp_path / "theirs.json"
    study.write_text('env_id = "line"\nnum_episodes = 3\n' + space_text(RICH_SHAPED, "toml"))
    theirs.write_text(to_configspace_json(RICH_SHAPED))
    assert read_space(str(study)) == read_space(str(theirs)) == RICH_SHAPED
    assert read_space("small") == get_space("small")


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("smal", "no space 'smal': did you mean 'small'"),
        ("nowhere.json", "cannot read the space file: No such file"),
        ("x.toml", "x.toml"),
    ],
)
def test_a_space_that_is_nowhere_is_refused_in_one_line(name: str, cause: str) -> None:
    with pytest.raises(ConfigError, match=cause):
        read_space(name)
