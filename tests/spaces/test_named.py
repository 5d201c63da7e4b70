import pytest

from cartwheel.spaces.named import SPACES, get_space
from cartwheel.spaces.space import Space


def test_small_is_what_the_documents_say() -> None:
    space = get_space("small")
    ranges = {name: (p.low, p.default, p.high, p.log) for name, p in space.parameters.items()}  # type: ignore[union-attr]
    assert ranges == {
        "learning_rate": (1e-5, 2.5e-3, 1e-2, True),
        "weight_decay": (1e-7, 1e-5, 1e-2, True),
        "num_epochs": (1, 20, 20, False),
        "plan_horizon": (5, 25, 40, False),
        "num_iterations": (2, 3, 4, False),
        "num_samples": (16, 48, 96, True),
        "elite_ratio": (0.05, 0.1, 0.4, True),
        "alpha": (0.0, 0.1, 0.4, False),
        "noise_exponent": (0.0, 0.5, 4.0, False),
    }
    assert space.select("model").names == ("learning_rate", "weight_decay", "num_epochs")


# low, default, high, of the paper's table; L: logarithmic
PAPER = """
                halfcheetah         cartpole            reacher             pusher
learning_rate   1e-5 1e-3 4e-2      1e-5 1e-3 4e-2      1e-5 7.5e-4 4e-2    3e-5 1e-3 3e-3
weight_decay    1e-7 7.5e-5 1e-1    1e-7 2.5e-4 1e-1    1e-7 5e-4 1e-1      1e-7 5e-4 1e-1
num_epochs      3 5 20              3 5 15              3 5 20              3 5 20
plan_horizon    5 30 60             5 25 40             5 25 40             5 25 40
num_iterations  3 5 8               4 5 6               4 5 6               3 5 10
num_samples     200 500 700         200 400 700         200 400 700         100 500 700
elite_ratio     .04 .1 .5           .04 .1 .5           .04 .1 .5           .04 .1 .5
alpha           .05 .1 .2           .05 .1 .2           .05 .1 .4           .01 .1 .5
"""


@pytest.mark.parametrize("column", range(4))
def test_the_papers_spaces(column: int) -> None:
    header, *rows = [line.split() for line in PAPER.strip().splitlines()]
    space = get_space(f"aistats2021-{header[column]}")
    wanted = {row[0]: [float(cell) for cell in row[1 + 3 * column : 4 + 3 * column]] for row in rows}
    assert {name: [p.low, p.default, p.high] for name, p in space.parameters.items()} == wanted  # type: ignore[union-attr]
    is_log = {name for name, p in space.parameters.items() if p.log}  # type: ignore[union-attr]
    assert is_log == {"learning_rate", "weight_decay", "num_samples", "elite_ratio"}
    assert space.select("model").names == ("learning_rate", "weight_decay", "num_epochs")


# fewest hidden layers, default ones, default width
SHAPES = {"halfcheetah": (2, 4, 200), "cartpole": (2, 3, 500), "reacher": (3, 4, 200), "pusher": (3, 3, 200)}


@pytest.mark.parametrize("task", SHAPES)
def test_the_papers_shapes_are_static_and_come_on_top(task: str) -> None:
    """2 or 3 to 8 hidden layers of 100 to 600 units, four activations, five optimisers; defaults as in PETS."""
    plain, shaped = get_space(f"aistats2021-{task}"), get_space(f"aistats2021-{task}-shape").to_dict()
    static = {name: shaped.pop(name) for name in ("num_layers", "width", "activation", "optimizer")}
    assert Space.from_dict(shaped) == plain
    assert all(table.pop("is_static") and table.pop("group") == "model" for table in static.values())
    min_layers, layers, width = SHAPES[task]
    assert static == {
        "num_layers": {"kind": "int", "low": min_layers, "high": 8, "default": layers},
        "width": {"kind": "int", "low": 100, "high": 600, "default": width},
        "activation": {"kind": "choice", "values": ["relu", "tanh", "sigmoid", "swish"], "default": "swish"},
        "optimizer": {
            "kind": "choice",
            "values": ["adam", "adadelta", "adagrad", "sgd", "rmsprop"],
            "default": "adam",
        },
    }


@pytest.mark.parametrize("name", SPACES)
def test_named_spaces_round_trip(name: str) -> None:
    assert Space.from_dict(get_space(name).to_dict()) == get_space(name)


def test_an_unknown_space_names_the_closest() -> None:
    with pytest.raises(ValueError, match="no space 'smal': did you mean 'small'"):
        get_space("smal")
