"""What planners learn from scored plans: against numbers worked out by hand or by NumPy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cartwheel.agents.pets.hypers import PetsShape
from cartwheel.agents.pets.plan_search import Search
from cartwheel.agents.pets.plan_updates import Ranked
from cartwheel.agents.pets.planner import METHODS
from hand_made import planner_hypers, with_shape

SCORES = [10.0, 7.0, 6.0, 4.0, 0.0]
"""The best leads the median by 4."""
PLANS = np.asarray([0.8, -0.4, 0.1, 0.5, -0.9])
OLD_MEAN, OLD_STD = 0.25, 0.4


def updated(planner: Any, scores: list[float], shape: PetsShape | None = None, **hypers: Any) -> Search:
    """The search after one iteration with five plans of one step and one action, and three places left empty."""
    ranked = Ranked(
        jnp.asarray(np.pad(PLANS, (0, 3), constant_values=77.0), jnp.float32)[:, None, None],
        jnp.asarray([*scores, *[-np.inf] * 3], jnp.float32),
    )
    flat = jnp.full((1, 1), OLD_MEAN, jnp.float32)
    search = Search(flat, jnp.full_like(flat, OLD_STD), ranked.plans, jnp.int32(0), flat, jnp.float32(-jnp.inf))
    update = jax.jit(METHODS[planner].update, static_argnums=3)
    found: Search = update(search, ranked, planner_hypers(planner, **hypers), shape or with_shape(planner=planner))
    return found


def test_cem_mixes_variances_and_icem_deviations() -> None:
    """The two best of five, and a share of 0.2 of the old statistic; variances are those of the population."""
    mean, std = 0.2 * OLD_MEAN + 0.8 * PLANS[:2].mean(), PLANS[:2].std()
    hypers = {"num_samples": 5, "elite_ratio": 0.4, "alpha": 0.2}
    cem, icem = updated("cem", SCORES, **hypers), updated("icem", SCORES, **hypers)
    assert float(cem.mean[0, 0]) == pytest.approx(mean, abs=1e-6)
    assert float(icem.mean[0, 0]) == pytest.approx(mean, abs=1e-6)
    assert float(cem.std[0, 0]) == pytest.approx((0.2 * OLD_STD**2 + 0.8 * std**2) ** 0.5, abs=1e-6)
    assert float(icem.std[0, 0]) == pytest.approx(0.2 * OLD_STD + 0.8 * std, abs=1e-6)
    assert int(icem.num_elites) == 2


@pytest.mark.parametrize("planner", ["cem", "icem"])
def test_lost_plans_are_no_elites(planner: Any) -> None:
    """Of four elites wanted, only the two plans with a finite score count."""
    hypers = {"num_samples": 5, "elite_ratio": 0.8, "alpha": 0.0}
    found = updated(planner, [3.0, 2.0, *[-np.inf] * 3], **hypers)
    assert float(found.mean[0, 0]) == pytest.approx(PLANS[:2].mean(), abs=1e-6)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 30.0])
def test_mppi_weighs_by_lead_over_the_median(temperature: float) -> None:
    """exp(-1 / temperature) for the median plan; likewise for the others; the spread stays."""
    weights = np.exp((np.asarray(SCORES) - 10.0) / (temperature * 4.0))
    assert weights[2] == pytest.approx(np.exp(-1.0 / temperature))
    found = updated("mppi", SCORES, temperature=temperature)
    assert float(found.mean[0, 0]) == pytest.approx(np.average(PLANS, weights=weights), abs=1e-6)
    assert float(found.std[0, 0]) == np.float32(OLD_STD)


def test_mppi_in_units_of_return() -> None:
    """As published: exp((score - best) / temperature)."""
    weights = np.exp((np.asarray(SCORES) - 10.0) / 3.0)
    found = updated("mppi", SCORES, with_shape(planner="mppi", temperature_unit="return"), temperature=3.0)
    assert float(found.mean[0, 0]) == pytest.approx(np.average(PLANS, weights=weights), abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([5.0] * 5, PLANS.mean()),  # no plan leads: all weigh the same
        ([5.0, 5.0, 5.0, 4.0, 3.0], PLANS[:3].mean()),  # the median is no worse than the best
        ([5.0, *[-np.inf] * 4], PLANS[0]),  # one plan has a finite score
        ([3e38, -3e38, -3e38, -3e38, -3e38], PLANS[0]),  # the lead is larger than any float32
        ([0.0, -1e-36, -1e-36, -1e-36, -1e-36], PLANS[0]),  # the lead is next to nothing
    ],
)
def test_mppi_at_the_edges_of_its_formula(scores: list[float], expected: float) -> None:
    """Ties, single plans and enormous leads give a mean of plans, and never a NaN."""
    found = updated("mppi", scores, temperature=0.05)
    assert float(found.mean[0, 0]) == pytest.approx(expected, abs=1e-5)


def test_mppi_keeps_a_share_of_the_old_mean() -> None:
    found = updated("mppi", [5.0, *[-np.inf] * 4], alpha=0.25)
    assert float(found.mean[0, 0]) == pytest.approx(0.25 * OLD_MEAN + 0.75 * PLANS[0], abs=1e-6)


def test_random_shooting_takes_the_best() -> None:
    """Whatever the others are."""
    assert float(updated("random-shooting", SCORES).mean[0, 0]) == np.float32(PLANS[0])
