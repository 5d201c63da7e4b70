"""The comparison and its sentence: true for the numbers, whichever way they come out."""

import dataclasses
import json
import math

import pytest

from cartwheel.analysis.comparison import (
    Arm,
    Run,
    arms_from_json,
    arms_to_json,
    ceiling_sentence,
    compare,
    compute_sentence,
    headline,
    mean_network_evaluations,
)
from made_up_study import CEILING, made_up_arms, per_env_step


def arm(name: str, label: str, means: list[float], horizon: int = 10) -> Arm:
    """Two evaluation episodes per run, around the given mean; NaN: the training failed."""
    runs = tuple(
        Run(seed, (), "diverged") if math.isnan(mean) else Run(seed, (mean - 1, mean + 1))
        for seed, mean in enumerate(means)
    )
    return Arm(name, label, ({"plan_horizon": horizon},) * 4, runs)


def horizon_cost(config: dict[str, float]) -> float:
    return 3 * 48 * 5 * config["plan_horizon"]


def sentence(default: list[float], found: list[float], horizon: int = 10) -> str:
    arms = [arm("default", "the default config", default), arm("schedule", "the schedule", found, horizon)]
    return headline(compare(arms, horizon_cost))


def test_better_is_said_when_the_interval_lies_above_zero() -> None:
    assert sentence([10, 20, 30, 40, 50], [110, 121, 129, 140, 150]) == (
        "On 5 fresh seeds, training anew under the schedule found by this one study returned 130.0 on average: "
        "better than the default config (30.0; paired difference +100.0, 95% interval +99.1 to +100.9)."
    )


def test_worse_is_said_when_the_interval_lies_below_zero() -> None:
    text = sentence([110, 121, 129, 140, 150], [10, 20, 30, 40, 50])
    assert "found by this one study returned 30.0 on average: worse than the default config" in text
    assert "(130.0; paired difference -100.0, 95% interval -100.9 to -99.1)" in text


def test_what_cannot_be_told_is_said_to_be_so() -> None:
    text = sentence([10, 20, 30, 40, 50], [50, 10, 40, 20, 45])
    assert "neither better nor worse than the default config as far as 5 seeds can tell" in text
    assert "found by this one study" in text
    assert "better than the default config (" not in text.replace("neither better nor worse", "")


@pytest.mark.parametrize("shift", [45.0, 0.0, -45.0])
def test_it_is_one_sentence_about_one_study(shift: float) -> None:
    text = headline(compare(made_up_arms(shift), per_env_step, CEILING))
    assert text.count("found by this one study") == 1
    assert text.endswith(".")
    assert ". " not in text


def test_each_baseline_gets_its_own_verdict() -> None:
    text = headline(compare(made_up_arms(45.0), per_env_step))
    assert "better than the default config (97.9;" in text
    assert "neither better nor worse than the best config of Random Search as far as 5 seeds can tell (137.0;" in text


def test_more_compute_is_named_in_the_sentence() -> None:
    text = sentence([10, 20], [30, 41], horizon=25)
    assert text.endswith("; its network evaluations per env step were 2.5 times those of the default config.")
    assert "network evaluations" not in sentence([10, 20], [30, 41], horizon=10)


def test_a_found_arm_that_failed_more_often_is_never_called_better() -> None:
    text = sentence([10, 20, 30, 40, 50], [110, 121, 129, 140, math.nan])
    assert "better than" not in text
    assert "not to be judged against the default config, because trainings failed" in text
    assert text.endswith("; left out because they failed: 1 of 5 trainings under the schedule.")


def test_a_baseline_that_failed_more_often_does_not_make_the_found_arm_worse() -> None:
    text = sentence([110, 121, 129, 140, math.nan], [10, 20, 30, 40, 50])
    assert "worse than" not in text.replace("nor worse than", "")
    assert "1 of 5 trainings under the default config" in text


def test_if_every_found_training_failed_nothing_is_said() -> None:
    text = sentence([10, 20], [math.nan, math.nan])
    assert text == ("Nothing can be said about the schedule found by this one study: all 2 trainings under it failed.")


def test_one_seed_cannot_tell() -> None:
    assert "not comparable with the default config (10.00) on a single common seed" in sentence([10], [99])


def test_baselines_without_common_seeds_are_not_compared() -> None:
    found = arm("schedule", "the schedule", [1, 2])
    other = dataclasses.replace(arm("default", "the default config", [1, 2]), runs=(Run(7, (1.0,)),))
    assert "no finished training on a common seed" in headline(compare([other, found], horizon_cost))


def test_pairs_are_made_by_seed_not_by_place() -> None:
    found = arm("schedule", "the schedule", [1, 2, 3])
    mirrored = dataclasses.replace(found, name="default", runs=found.runs[::-1])
    (difference,) = compare([mirrored, found], horizon_cost).differences
    assert difference.interval is not None
    assert (difference.interval.low, difference.interval.point, difference.interval.high) == (0, 0, 0)
    assert difference.outcome == "unclear"
    assert difference.probability == 0.5


def test_a_run_with_one_infinite_return_failed() -> None:
    assert math.isnan(Run(0, (1.0, math.inf)).mean)
    assert math.isnan(Run(0, ()).mean)
    assert Run(0, (1.0, 2.0)).mean == 1.5


def test_network_evaluations_are_averaged_over_the_schedule() -> None:
    """A horizon that grows costs its mean; no episodes cost what is not known."""
    configs = [{"plan_horizon": horizon} for horizon in (10, 20, 60)]
    assert mean_network_evaluations(configs, horizon_cost) == 3 * 48 * 5 * 30
    assert math.isnan(mean_network_evaluations([], horizon_cost))


def test_the_cost_of_every_arm_is_told_and_that_horizon_buys_it() -> None:
    text = compute_sentence(compare(made_up_arms(), per_env_step))
    assert "18,000 under the default config" in text
    assert "21,960 under the schedule" in text
    assert "a longer horizon or more samples buys compute" in text


def test_the_ceiling_says_what_it_rests_on() -> None:
    assert ceiling_sentence(CEILING) == (
        "With the true dynamics in place of the learned model, the same planner under the default config returns 176.4 "
        "(mean of 10 episodes): what agents under the default config lack of that is the model's; "
        "other configs have ceilings of their own."
    )


def test_arms_survive_json() -> None:
    arms = made_up_arms()
    text = json.dumps(arms_to_json(arms, CEILING))
    assert arms_from_json(json.loads(text)) == (arms, CEILING)


def test_nothing_to_compare_is_an_error() -> None:
    with pytest.raises(ValueError, match="no arm"):
        compare([], horizon_cost)
