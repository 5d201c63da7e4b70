"""Trials in batches, and what Optuna's samplers are told and propose."""

import importlib.util
import re
from collections.abc import Sequence
from math import inf, nan
from typing import Any

import numpy as np
import optuna
import pytest

from cartwheel.records import Config, Issued, Reported, Segment
from cartwheel.seeds import numpy_rng, seed_integer
from cartwheel.spaces.space import Float, Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.models.model_based import BatchedTrials, ModelBasedSettings
from cartwheel.tuners.models.optuna_samplers import (
    MIN_WARM_START,
    MissingPackage,
    Observed,
    finite,
    next_generation,
    propose,
    require_packages,
)
from cartwheel.tuners.registry import make_tuner
from synthetic import MIXED, Loop, SyntheticAgent, constant, failed, issued, tell_all

REAL = Space({name: Float(0.0, 1.0, default=0.5, group="model") for name in ("x", "y")})
SAMPLERS = pytest.mark.parametrize("sampler", ["tpe", "cma-es"])


def recording(told: list[list[Observed]], num_episodes: int = 4, num_trials: int = 7) -> Tuner:
    """Batches of 2 after 3 startup trials; what it is told is written down, and the n-th batch has x = n / 10."""

    def decide(observed: Sequence[Observed]) -> list[Config]:
        told.append(list(observed))
        return [{"x": len(told) / 10, "y": 0.0}, {"x": len(told) / 10, "y": 1.0}]

    settings = ModelBasedSettings(num_trials, num_startup_trials=3, batch_size=2)
    return BatchedTrials(REAL, 1, num_episodes, settings, decide)


def run(tuner: Tuner, segment: Segment, return_: float) -> None:
    tell_all(tuner, [Issued(segment), Reported(constant(segment, return_))])


def test_a_batch_waits_for_all_trials_before_it() -> None:
    tuner = recording(told := [])
    startup = tuner.ask(9)
    assert [segment.trial for segment in startup] == [0, 1, 2]
    for segment in startup[::-1]:
        assert told == []
        run(tuner, segment, float(segment.trial))
    assert [(s.trial, s.config["x"], s.stop) for s in tuner.ask(9)] == [(3, 0.1, 4), (4, 0.1, 4)]


def test_a_model_is_told_all_scores_in_the_order_of_age() -> None:
    """Whatever the order of completion; -inf for who has none."""
    tuner = recording(told := [])
    startup = tuner.ask(9)
    tell_all(tuner, [Issued(startup[1]), Reported(failed(startup[1]))])
    run(tuner, startup[2], nan)
    run(tuner, startup[0], 5.0)
    for segment in tuner.ask(9)[::-1]:
        run(tuner, segment, float(segment.trial))
    assert [[one.score for one in batch] for batch in told] == [[5.0, -inf, -inf], [5.0, -inf, -inf, 3.0, 4.0]]
    assert [one.config for one in told[1][:3]] == [s.config for s in startup]


def test_the_last_batch_is_cut_at_the_number_of_trials() -> None:
    done = Loop(recording([], num_trials=6), SyntheticAgent(REAL)).run()
    assert sorted(s.trial for s in issued(done.log).values()) == [0, 1, 2, 3, 4, 5]


def test_an_extended_study_decides_from_where_its_trials_are_then() -> None:
    """All go on first. A batch that was begun before keeps what decided it."""
    begun = recording([])
    for segment in begun.ask(9):
        run(begun, segment, 1.0)
    third = begun.ask(1)[0]
    log = [*(e for s in recording([]).ask(9) for e in (Issued(s), Reported(constant(s, 1.0))))]
    longer = recording(told := [], num_episodes=6)
    tell_all(longer, [*log, Issued(third)])
    assert [one.score for one in told[-1]] == [1.0, 1.0, 1.0]
    assert [(s.id, s.stop) for s in longer.ask(9)] == [("0.1", 6), ("1.1", 6), ("2.1", 6), ("4.0", 6)]
    fresh = recording(told := [], num_episodes=6)
    tell_all(fresh, log)
    assert told == []
    for segment in fresh.ask(9):
        run(fresh, segment, 2.0)
    assert [one.score for one in told[0]] == pytest.approx([5 / 3] * 3)


@pytest.mark.parametrize("name", ["tpe", "cma-es"])
def test_startup_trials_are_those_of_random_search(name: str) -> None:
    asked = make_tuner(name, {"num_startup_trials": 5, "default_first": True}, MIXED, 3, 6).ask(9)
    drawn = make_tuner("random-search", {"default_first": True}, MIXED, 3, 6).ask(5)
    assert [s.config for s in asked] == [s.config for s in drawn]


def test_without_any_score_a_batch_is_drawn_at_random() -> None:
    tuner = make_tuner("tpe", {}, MIXED, 3, 6)
    for segment in tuner.ask(9):
        tell_all(tuner, [Issued(segment), Reported(failed(segment))])
    drawn = make_tuner("random-search", {}, MIXED, 3, 6).ask(6)
    assert [s.config for s in tuner.ask(9)] == [s.config for s in drawn[4:]]


def hill(config: Config) -> float:
    """Best at x = 0.2, y = 0.7."""
    return -((float(config["x"]) - 0.2) ** 2) - (float(config["y"]) - 0.7) ** 2


def observed(num: int, seed: int) -> list[Observed]:
    configs = [REAL.sample(numpy_rng("hill", seed, i)) for i in range(num)]
    return [Observed(config, hill(config)) for config in configs]


@SAMPLERS
def test_a_model_proposes_better_configs_than_the_prior(sampler: Any) -> None:
    """Over ten seeds, 4 proposals each after 30 draws; the prior's mean is about -0.29."""
    proposed = [c for seed in range(10) for c in propose(sampler, REAL, ("hill", seed), observed(30, seed), 4)]
    assert np.mean([hill(config) for config in proposed]) > 0.5 * np.mean([o.score for o in observed(1000, 99)])


@SAMPLERS
def test_a_proposal_is_a_function_of_names_and_results(sampler: Any) -> None:
    past = observed(MIN_WARM_START, 0)
    one = propose(sampler, REAL, ("a", 1), past, 3)
    assert propose(sampler, REAL, ("a", 1), past, 3) == one
    assert propose(sampler, REAL, ("a", 1), past, 2) == one[:2]
    assert propose(sampler, REAL, ("a", 2), past, 3) != one
    assert len({config["x"] for config in one}) == 3


@SAMPLERS
def test_every_kind_of_parameter_can_be_proposed(sampler: Any) -> None:
    past = [Observed(MIXED.sample(numpy_rng(i)), [float(i), -inf][i % 2]) for i in range(MIN_WARM_START)]
    for config in propose(sampler, MIXED, (1,), past, 5):
        MIXED.check(config)
        assert all(type(config[key]) is type(value) for key, value in MIXED.default.items())


def test_tpe_learns_which_choice_is_good() -> None:
    past = []
    for i in range(30):
        config = MIXED.sample(numpy_rng("choice", i))
        past.append(Observed(config, float(config["propagation"] == "ts1")))
    proposed = [config["propagation"] for config in propose("tpe", MIXED, (1,), past, 10)]
    assert proposed.count("ts1") >= 8


def test_generations_are_those_of_a_study_that_never_stopped() -> None:
    """Optuna's own, asked and told without a break."""
    dimension = {name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in ("x", "y")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optuna.logging, "_default_handler", None)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.CmaEsSampler(popsize=5, seed=seed_integer("g", 1))
        study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trial(optuna.trial.create_trial(params={"x": 0.5, "y": 0.5}, distributions=dimension, value=0.0))
    scores: list[list[float]] = []
    for _ in range(8):
        asked = [study.ask(dimension) for _ in range(5)]
        assert next_generation(REAL, ("g", 1), scores, 5) == [trial.params for trial in asked]
        scores.append([hill(trial.params) for trial in asked])
        for trial, score in zip(asked, scores[-1], strict=True):
            study.tell(trial, score)
    assert np.mean(scores[-1]) > np.mean(scores[0])


def test_what_has_no_score_counts_as_the_worst() -> None:
    assert finite([3.0, -inf, nan, 1.0, inf]) == [3.0, 1.0, 1.0, 1.0, 1.0]
    assert finite([-inf, nan]) == [0.0, 0.0]


def test_optuna_is_silent_and_keeps_its_verbosity(capfd: pytest.CaptureFixture[str]) -> None:
    optuna.logging.set_verbosity(optuna.logging.INFO)
    propose("cma-es", MIXED, (1,), [Observed(MIXED.default, 1.0)] * MIN_WARM_START, 2)
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("sampler", "package", "step"),
    [("tpe", "optuna", "'cartwheel[optuna]'"), ("cma-es", "cmaes", "'cartwheel[optuna]'"), ("gp", "torch", "torch")],
)
def test_a_missing_package_is_named_with_what_to_install(
    sampler: Any, package: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else name)
    with pytest.raises(
        MissingPackage, match=re.escape(f"the package {package}, which is not installed; pip install {step}")
    ):
        require_packages(sampler)


def test_too_small_a_generation_is_refused() -> None:
    with pytest.raises(ValueError, match="tuner 'cma-es': batch_size must be at least 4, got 3"):
        make_tuner("cma-es", {"batch_size": 3}, MIXED, 1, 5)
    with pytest.raises(ValueError, match="default_first needs num_startup_trials"):
        make_tuner("cma-es", {"default_first": True}, MIXED, 1, 5)
