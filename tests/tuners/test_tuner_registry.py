import re
from pathlib import Path
from typing import Any

import pytest

from cartwheel.tuners.populations.pbt_settings import AISTATS2021, PbtSettings
from cartwheel.tuners.registry import TUNERS, make_tuner, noun_of_trial, tuner_settings
from synthetic import MIXED, PLAIN, SHAPED, make_or_skip


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("pbtt", {}, "no tuner 'pbtt': did you mean 'pbt'"),
        ("pbt", {"populaton": 8}, "tuner 'pbt': no setting 'populaton': did you mean 'population'"),
        ("pbt", {"population": 8.5}, "tuner 'pbt': population must be of type int, got 8.5"),
        ("pbt", {"population": True}, "tuner 'pbt': population must be of type int, got True"),
        ("pbt", {"population": 0}, "tuner 'pbt': population must be at least 1, got 0"),
        ("pbt", {"interval_episodes": 0}, "tuner 'pbt': interval_episodes must be at least 1, got 0"),
        ("pbt", {"step": "0.2"}, "tuner 'pbt': step must be of type float, got '0.2'"),
        ("pbt", {"step": 2}, "tuner 'pbt': step must be above 0 and at most 1, got 2.0"),
        ("pbt", {"explore": "sub"}, "tuner 'pbt': explore must be one of add, multiply, scale, none, got 'sub'"),
        ("pbt", {"donor_fraction": 0.9}, "tuner 'pbt': needs 0 < donor_fraction <= keep_fraction"),
        ("pbt", {"preset": "aistats2012"}, "tuner 'pbt': no preset 'aistats2012': did you mean 'aistats2021'"),
        ("pbt", {"copy": "weights"}, "tuner 'pbt': copy must be a list, got 'weights'"),
        ("pbt", {"copy": ["weight"]}, "tuner 'pbt': each of copy must be one of weights, optimizer, normaliser, rep"),
        ("pbt", {"copy": ["replay"]}, "tuner 'pbt': copy must hold 'weights'"),
        ("pbt-bt", {"archive_fraction": 0}, "tuner 'pbt-bt': archive_fraction must be above 0"),
        ("pbt-bt", {"backtrack_every_segments": -1}, "tuner 'pbt-bt': backtrack_every_segments must be at least 0"),
        ("pbt-bt", {"margin": float("nan")}, "tuner 'pbt-bt': margin must be at least 0, got nan"),
        ("successive-halving", {"num_trials": 0}, "tuner 'successive-halving': num_trials must be at least 1"),
        ("asha", {"num_trials": 0}, "tuner 'asha': num_trials must be at least 1"),
        ("random-search", {"preset": "x"}, "tuner 'random-search': no preset 'x'"),
        ("random-search", {"num_trials": 0}, "tuner 'random-search': num_trials must be at least 1, got 0"),
    ],
)
def test_bad_names_and_settings_are_refused_in_one_line(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        make_tuner(name, settings, PLAIN, 1, 10)


@pytest.mark.parametrize("name", TUNERS)
def test_only_static_tuners_search_static_parameters(name: str) -> None:
    """The others say why not, and what to do."""
    if not TUNERS[name].is_dynamic:
        assert all("width" in segment.config for segment in make_or_skip(name, {}, SHAPED, 1, 4).ask(3))
        return
    with pytest.raises(
        ValueError, match=rf"tuner '{name}': .* width cannot change .* give num_shapes.* static tuner .*\(random-search"
    ):
        make_tuner(name, {}, SHAPED, 1, 4)


def test_no_episodes_are_refused() -> None:
    with pytest.raises(ValueError, match="tuner 'pbt': num_episodes must be at least 1, got 0"):
        make_tuner("pbt", {}, PLAIN, 1, 0)


def test_settings_override_the_preset_and_the_preset_the_defaults() -> None:
    settings = tuner_settings("pbt", {"preset": "aistats2021", "population": 20})
    assert settings == PbtSettings(**{**AISTATS2021, "population": 20})
    assert (settings.population, settings.explore, settings.interval_episodes) == (20, "multiply", 5)
    assert tuner_settings("pbt", {}) == PbtSettings()


def test_whole_numbers_are_real_numbers_too() -> None:
    assert tuner_settings("pbt", {"keep_fraction": 1}).keep_fraction == 1.0


@pytest.mark.parametrize("name", TUNERS)
def test_every_preset_and_the_defaults_are_valid(name: str) -> None:
    for preset in ({}, *({"preset": preset} for preset in TUNERS[name].presets)):
        assert isinstance(tuner_settings(name, preset), TUNERS[name].settings)


@pytest.mark.parametrize("name", [name for name, entry in TUNERS.items() if entry.is_seeded])
def test_every_tuner_can_begin_with_the_default_config(name: str) -> None:
    """CMA-ES only where it has trials that its model does not decide."""
    needed = {"num_startup_trials": 2} if name == "cma-es" else {}
    tuner = make_or_skip(name, {"default_first": True, **needed}, SHAPED.only(MIXED.names), 1, 9)
    first = min(tuner.ask(1000), key=lambda segment: segment.trial)
    assert first.config == MIXED.default


def test_trials_of_a_population_are_called_members() -> None:
    for name, entry in TUNERS.items():
        assert noun_of_trial(name) == ("member" if issubclass(entry.settings, PbtSettings) else "trial")


def test_the_guide_names_every_tuner_once() -> None:
    """The first column of the table in docs/tuners.md, and whether it calls a tuner dynamic."""
    text = (Path(__file__).parents[2] / "docs" / "tuners.md").read_text()
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    named = [(name, row[2].strip()) for row in rows for name in re.findall(r"`([^`]+)`", row[1])]
    assert sorted(name for name, _ in named) == sorted(TUNERS)
    assert all(TUNERS[name].is_dynamic == (kind == "dynamic") for name, kind in named if kind != "control")
