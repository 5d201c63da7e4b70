"""Presets: the values that the published codes have, and what goes before them."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from cartwheel.agents.pets.presets import PRESETS
from cartwheel.agents.pets.setup import AgentSetup, make_setup
from cartwheel.envs.tasks import LINE, get_task, task_ids


def setup(preset: str, task: str = "pets-halfcheetah", **own: Any) -> AgentSetup:
    return make_setup(get_task(task), {"preset": preset, **own}, [], num_episodes=1)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_makes_an_agent_for_every_task(preset: str) -> None:
    """Whatever it sets is known, legal, and goes together."""
    for task in task_ids():
        made = setup(preset, task)
        for name, value in PRESETS[preset].of(task).items():
            assert getattr(made.shape, name, made.base.get(name)) == value


@pytest.mark.parametrize(
    ("task", "layers", "decays", "samples", "horizon"),
    [
        ("cartpole-swingup", (3, 500), [1e-4, 2.5e-4, 2.5e-4, 5e-4], 400, 25),
        ("pets-halfcheetah", (4, 200), [2.5e-5, 5e-5, 7.5e-5, 7.5e-5, 1e-4], 500, 30),
        ("pets-reacher3d", (4, 200), [2.5e-4, 5e-4, 5e-4, 5e-4, 7.5e-4], 400, 25),
        ("pets-pusher", (3, 200), [2.5e-4, 5e-4, 5e-4, 7.5e-4], 500, 25),
    ],
)
def test_the_original_is_as_its_files_have_it(
    task: str, layers: tuple[int, int], decays: list[float], samples: int, horizon: int
) -> None:
    """Sizes, every layer's weight decay, and the planner's budget, as written in dmbrl/config/*.py."""
    made = setup("handful-of-trials", task)
    assert (made.shape.num_layers, made.shape.width) == layers
    np.testing.assert_allclose(np.multiply(made.shape.layer_decays, made.base["weight_decay"]), decays)
    assert (made.base["num_samples"], made.base["plan_horizon"]) == (samples, horizon)
    # samples of five iterations, 20 particles each
    assert made.network_evaluations({}) == 5 * samples * 20 * horizon


def test_own_settings_go_before_a_preset() -> None:
    """A value of one's own replaces the preset's, another planner takes from it what it has."""
    made = setup("mbrl-lib", num_samples=64, planner="icem", num_networks=5)
    assert (made.base["num_samples"], made.base["num_epochs"]) == (64, 25)
    assert (made.shape.planner, made.shape.num_networks, made.shape.num_best_networks) == ("icem", 5, 5)
    assert "min_variance" not in made.base


def test_a_preset_goes_before_what_a_task_has_by_default() -> None:
    """The task's own defaults are for Cartwheel's own sizes."""
    assert get_task("line").defaults["num_epochs"] != 5
    assert setup("aistats2021", "line").base["num_epochs"] == 5


def test_tuned_values_go_before_all() -> None:
    """What a preset sets is not fixed: a tuner may change it."""
    assert setup("aistats2021").under({"alpha": 0.15}).base["alpha"] == 0.15


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "pets"}, r"agent\.preset: must be one of default, handful-of-trials, aistats2021, mbrl-lib, got"),
        ({"preset": "handful-of-trials", "num_layers": 2}, r"agent\.num_layers: .* set layer_decays too"),
        ({"preset": "mbrl-lib", "noise_exponent": 1.0}, r"agent\.noise_exponent: unknown"),
    ],
)
def test_what_does_not_go_together_is_named(settings: dict[str, Any], message: str) -> None:
    """One message with the setting and what to do."""
    with pytest.raises(ValueError, match=message):
        setup(**settings)


def test_a_tasks_defaults_hold_unless_a_preset_is_named() -> None:
    """Choices of shape among them; the user's own settings go before either."""
    task = dataclasses.replace(LINE, defaults={"width": 32, "num_epochs": 7, "noise_exponent": 0.5})
    for settings in ({}, {"preset": "default"}):
        setup = make_setup(task, settings, [], num_episodes=1)
        assert (setup.shape.width, setup.base["num_epochs"], setup.base["noise_exponent"]) == (32, 7, 0.5)
    published = make_setup(task, {"preset": "aistats2021", "num_samples": 9}, [], num_episodes=1)
    assert (published.shape.width, published.base["num_epochs"], published.base["num_samples"]) == (200, 5, 9)
    assert make_setup(task, {"width": 8, "planner": "cem"}, [], num_episodes=1).shape.width == 8
