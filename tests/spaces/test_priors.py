"""From which distribution configs are drawn."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import truncnorm

from cartwheel.spaces.space import Choice, Float, Int, Ordinal, Parameter, Space

P = st.floats(0.0, 1.0)
RATE = Float(1e-4, 1.0, log=True, default=1e-3, group="model", prior_std=0.1)


def test_the_prior_is_uniform_unless_said_otherwise() -> None:
    space = Space({"a": Float(0, 2, default=1, group="model"), "b": Choice(("x", "y"), default="x", group="model")})
    assert space.prior_quantiles(np.array([0.3, 0.7])).tolist() == [0.3, 0.7]


@given(P, st.floats(0.0, 1.0), st.floats(0.01, 10.0))
def test_a_normal_prior_is_the_truncated_normal(p: float, mean: float, std: float) -> None:
    """Against scipy's."""
    parameter = Float(0.0, 1.0, default=mean, group="model", prior_std=std)
    expected = truncnorm.ppf(p, -mean / std, (1 - mean) / std, mean, std)
    assert parameter.prior_quantile(p) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("std", [1e-300, 1e-9, 10.0])
@pytest.mark.parametrize("default", [1e-4, 1e-2, 1.0])
def test_extreme_priors_stay_in_the_range(std: float, default: float) -> None:
    rate = Float(1e-4, 1.0, log=True, default=default, group="model", prior_std=std)
    quantiles = [rate.prior_quantile(p) for p in (0.0, 0.25, 0.5, 0.75, math.nextafter(1.0, 0.0), 1.0)]
    assert quantiles == sorted(quantiles)
    assert 0.0 <= quantiles[0] <= quantiles[-1] <= 1.0


def test_draws_gather_about_the_default_on_the_parameters_own_scale() -> None:
    """A rate over four decades with 0.1: 68% lie within 0.4 decades of the default; 4 standard errors of 1000 draws."""
    space, rng = Space({"rate": RATE}), np.random.default_rng(3)
    distances = np.abs([math.log10(float(space.sample(rng)["rate"])) + 3.0 for _ in range(1000)])
    share = NormalDist().cdf(1.0) - NormalDist().cdf(-1.0)
    assert np.mean(distances < 0.4) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 1000))


@pytest.mark.parametrize("kind", [Choice, Ordinal])
def test_weights_are_odds(kind: type[Choice | Ordinal]) -> None:
    """1 : 2 : 5, exactly so on a fine grid."""
    parameter = kind(("a", "b", "c"), default="a", group="model", weights=(1, 2, 5))
    drawn = [parameter.decode(parameter.prior_quantile((k + 0.5) / 800)) for k in range(800)]
    assert [drawn.count(value) for value in "abc"] == [100, 200, 500]
    assert parameter.decode(parameter.prior_quantile(1.0)) == "c"


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=5), P, P)
def test_quantiles_of_weights_rise(weights: list[float], a: float, b: float) -> None:
    parameter = Choice(tuple(range(len(weights))), default=0, group="model", weights=tuple(weights))
    assert 0.0 <= parameter.prior_quantile(min(a, b)) <= parameter.prior_quantile(max(a, b)) <= 1.0


@pytest.mark.parametrize(
    "parameter", [RATE, Int(1, 9, default=3, group="model", prior_std=0.2), Ordinal((1, 2), default=1, group="model")]
)
def test_a_prior_changes_no_coordinate(parameter: Parameter) -> None:
    """What is drawn more often does not get more of the unit interval."""
    table = {**Space({"x": parameter}).to_dict()["x"]}
    table.pop("prior_std", None)
    plain = Space.from_dict({"x": table})
    for u in np.linspace(0, 1, 21).tolist():
        assert plain.decode(np.array([u])) == Space({"x": parameter}).decode(np.array([u]))
