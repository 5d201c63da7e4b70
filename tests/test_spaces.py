import pytest

from cartwheel.space import Space
from cartwheel.spaces import SPACES, get_space


def test_small_is_what_the_documents_say() -> None:
    space = get_space("small")
    ranges = {name: (p.low, p.default, p.high, p.log) for name, p in space.parameters.items()}  # type: ignore[union-attr]
    assert ranges == {
        "learning_rate": (1e-5, 1e-3, 1e-2, True),
        "weight_decay": (1e-7, 1e-5, 1e-2, True),
        "num_epochs": (1, 5, 20, False),
        "plan_horizon": (5, 25, 40, False),
        "num_iterations": (2, 3, 4, False),
        "num_samples": (16, 48, 96, True),
        "elite_ratio": (0.05, 0.1, 0.4, True),
        "alpha": (0.0, 0.1, 0.4, False),
        "noise_exponent": (0.0, 2.0, 4.0, False),
    }
    assert space.select("model").names == ("learning_rate", "weight_decay", "num_epochs")


@pytest.mark.parametrize("name", SPACES)
def test_named_spaces_round_trip(name: str) -> None:
    assert Space.from_dict(get_space(name).to_dict()) == get_space(name)


def test_an_unknown_space_names_the_closest() -> None:
    with pytest.raises(ValueError, match="no space 'smal': did you mean 'small'"):
        get_space("smal")
