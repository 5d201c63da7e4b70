"""Arms side by side: what is compared, when it is a claim, and what equal cost means. Made-up studies."""

import dataclasses
import math

import numpy as np
import pytest

from cartwheel.analysis.evidence import ArmResult, StudyResult, arms_of, at_equal, task_evidence
from cartwheel.analysis.incumbents import IncumbentCurve, Spent, incumbent_curve
from cartwheel.analysis.normalised import overall, profiles, scale, task_strata
from cartwheel.analysis.selection import decompose, nearest_in_cost
from cartwheel.analysis.tables import segment_score
from cartwheel.analysis.transfer import Moved, matrix, prices, simplifying
from made_up_results import arm, curve, studies
from whole_studies import tuned


def test_studies_of_one_tuner_and_task_are_an_arm() -> None:
    """In the order of their seeds; a study that appears twice is refused."""
    both = [*studies("pbt", [2, 1]), *studies("fixed", [1])]
    assert [(a.arm, [s.tuner_seed for s in a.studies]) for a in arms_of(both)] == [("pbt", [1, 2]), ("fixed", [1])]
    with pytest.raises(ValueError, match="same seed"):
        arms_of([*both, *studies("pbt", [1])])


def test_a_clear_difference_over_five_tuner_seeds_is_a_claim() -> None:
    """Both questions are answered, each with difference and chance."""
    found = task_evidence([arm("fixed"), arm("pbt", shift=30.0)])
    assert [(d.question, d.first, d.second, d.verdict, d.is_claim) for d in found.differences] == [
        ("agent", "pbt", "fixed", "better", True),
        ("rerun", "pbt", "fixed", "better", True),
    ]
    for difference in found.differences:
        assert difference.interval.low <= difference.interval.point <= difference.interval.high
        assert difference.interval.point == pytest.approx(30, abs=3)
        assert difference.chance.point > 0.95


def test_with_fewer_tuner_seeds_it_is_no_claim() -> None:
    found = task_evidence([arm("fixed"), arm("pbt", shift=30.0, num_seeds=4)])
    assert not any(difference.is_claim for difference in found.differences)


def test_noise_is_neither_better_nor_worse() -> None:
    found = task_evidence([arm("fixed", noise=20.0), arm("pbt", noise=20.0)])
    assert {difference.verdict for difference in found.differences} == {"unclear"}


def test_who_spent_more_does_not_win() -> None:
    """The dearer arm's better score is no verdict; a dearer arm that is worse is worse."""
    dear = arm("pbt", shift=30.0, env_steps=2_000)
    assert {d.verdict for d in task_evidence([arm("fixed"), dear]).differences} == {"not at equal cost"}
    bad = arm("pbt", shift=-30.0, env_steps=2_000)
    assert {d.verdict for d in task_evidence([arm("fixed"), bad]).differences} == {"worse"}


def test_only_common_test_seeds_are_compared() -> None:
    one, other = arm("fixed", num_tests=10), arm("pbt", shift=30.0, num_tests=6)
    (first, *_) = task_evidence([one, other]).differences
    assert first.interval.point == pytest.approx(30, abs=3)
    untested = ArmResult(
        "line", "none", tuple(StudyResult("line", "none", k, {}, {}, 1_000, 1.0, curve(1.0)) for k in range(5))
    )
    assert task_evidence([one, untested]).differences == ()


def test_equal_totals_are_the_least_total_of_any_study() -> None:
    """The score that each incumbent had by then; None where an arm had none yet."""
    cheap, dear = arm("fixed", env_steps=1_000), arm("pbt", env_steps=4_000)
    found = at_equal([cheap, dear], "env_steps")
    assert found.amount == 1_000
    assert all(interval is not None for interval in found.scores.values())
    late = ArmResult("line", "late", tuple(_late(k) for k in range(5)))
    assert at_equal([cheap, late], "env_steps").scores["late"] is None


def _late(seed: int) -> StudyResult:
    spent = (Spent(3_000, 3.0, 3.0),)
    return StudyResult("line", "late", seed, {}, {}, 3_000, 3.0, IncumbentCurve(spent, (5.0,)))


def test_a_curve_is_known_from_its_first_segment_to_what_was_spent() -> None:
    some = IncumbentCurve((Spent(10, 1.0, 2.0), Spent(20, 3.0, 6.0)), (1.0, 4.0))
    assert math.isnan(some.at(9, "env_steps"))
    assert [some.at(amount, "env_steps") for amount in (10, 19, 20)] == [1.0, 1.0, 4.0]
    assert some.at(3.0, "device_s") == 4.0
    assert math.isnan(some.at(21, "env_steps"))


def test_incumbents_never_get_worse_and_count_every_env_step() -> None:
    """Random Search: the best score so far. Hyperband: of those that trained for longest."""
    tables = tuned({"name": "random-search", "num_trials": 6}, 4)
    order = list(tables.reports)
    found = incumbent_curve(tables, order)
    best = [max(segment_score(tables, id_) for id_ in order[: k + 1]) for k in range(6)]
    assert list(found.scores) == pytest.approx(best)
    assert [spent.env_steps for spent in found.spent] == [500 * (k + 1) for k in range(6)]
    halving = tuned({"name": "hyperband"}, 9)
    last = incumbent_curve(halving, list(halving.reports)).scores[-1]
    longest = [s for s in halving.segments.values() if s.stop == 9]
    assert last == pytest.approx(max(segment_score(halving, s.id) for s in longest))


def test_returns_are_scaled_between_random_and_the_default_config() -> None:
    """The default's rerun has an IQM of 1; a task without a scale is left out, and why is told."""
    default, pbt = arm("fixed", base=100.0), arm("pbt", base=100.0, shift=50.0)
    good = task_evidence([default, pbt])
    assert scale(good, "fixed") == (0.0, pytest.approx(100.0, abs=3))
    hopeless = task_evidence([arm("fixed", base=-10.0, task="hard"), arm("pbt", task="hard")])
    other = task_evidence([arm("fixed", task="other"), arm("pbt", task="other")])
    found = overall([good, hopeless, other], {"line": "fixed", "hard": "fixed"}, "rerun")
    assert found is not None
    assert (found.tasks, found.arms) == (("line",), ("fixed", "pbt"))
    chance, untrained = "the default config is no better than chance", "nobody trained the default config anew"
    assert found.left_out == {"hard": chance, "other": untrained}
    assert found.iqm[0].point == pytest.approx(1.0)
    assert found.iqm[1].point == pytest.approx(1.5, abs=0.05)
    assert found.chances["pbt", "fixed"].point > 0.99
    assert overall([good], {"line": "no such arm"}, "rerun") is None


def test_profiles_fall_from_one_to_zero_within_their_bands() -> None:
    strata, names = task_strata(task_evidence([arm("fixed"), arm("pbt", shift=10.0)]), "rerun")
    for profile in profiles(strata, names):
        assert np.all(np.diff(profile.fractions) <= 0)
        assert np.all((profile.low <= profile.fractions) & (profile.fractions <= profile.high))
    assert profiles([[np.full((1, 2), -math.inf)]], ["failed"]) == []


def test_the_gain_is_copying_plus_changing() -> None:
    """The IQMs add up exactly; what the rerun keeps is asked on its own."""
    default, copied, pbt = arm("fixed"), arm("selection-only", shift=10.0), arm("pbt", shift=25.0, rerun_shift=5.0)
    found = decompose(pbt, copied, default)
    assert found is not None
    assert found.whole.interval.point == pytest.approx(found.copying.interval.point + found.changing.interval.point)
    assert found.copying.interval.point == pytest.approx(10, abs=3)
    assert found.schedule is not None
    assert found.schedule.interval.point == pytest.approx(5, abs=3)
    assert found.is_claim
    untested = ArmResult("line", "x", tuple(StudyResult("line", "x", 0, {}, {}, 1, 1.0, curve(0.0)) for _ in range(1)))
    assert decompose(pbt, untested, default) is None


def test_an_arm_has_the_control_of_its_own_size() -> None:
    """Of those of eight and of sixteen agents, in either order."""
    eight, sixteen, pbt = arm("default (8)"), arm("default (16)"), arm("pbt")
    double = tuple(dataclasses.replace(study, env_steps=2 * study.env_steps) for study in sixteen.studies)
    sixteen = dataclasses.replace(sixteen, studies=double)
    assert nearest_in_cost([eight, sixteen], pbt) is nearest_in_cost([sixteen, eight], pbt) is eight
    assert nearest_in_cost([eight, sixteen], dataclasses.replace(pbt, studies=double)) is sixteen


def moved(arm_: str, kind: str, target: str, level: float) -> list[Moved]:
    rng = np.random.default_rng(int(level))
    return [
        Moved("line", arm_, kind, k, target, {s: level + rng.normal() for s in range(10)})  # type: ignore[arg-type]
        for k in range(5)
    ]


def test_the_matrix_holds_what_was_moved_against_the_default() -> None:
    everything = [*moved("pbt", "dynamic", "line", 50.0), *moved("pbt", "dynamic", "far", 20.0)]
    cells = matrix(everything, {"far": dict.fromkeys(range(10), 25.0)})
    home, away = cells
    assert (home.is_home, away.is_home) == (True, False)
    assert home.gain is None
    assert away.gain is not None
    assert away.gain.point == pytest.approx(-5, abs=1)
    assert away.gain.high < 0
    assert (away.num_schedules, away.num_test_seeds) == (5, 10)


def test_the_price_of_transferring_is_dynamic_minus_static_by_target() -> None:
    everything = [
        *moved("pbt", "dynamic", "line", 50.0),
        *moved("random-search", "static", "line", 45.0),
        *moved("pbt", "dynamic", "far", 20.0),
        *moved("random-search", "static", "far", 30.0),
    ]
    found = {price.target: price for price in prices(everything)}
    assert found["line"].interval.point == pytest.approx(5, abs=1.5)
    assert found["far"].interval.high < 0
    assert all(price.is_claim for price in found.values())


def test_simplifying_is_compared_for_the_seeds_that_have_both() -> None:
    """One whole schedule of the five had too few pieces to be simplified: it returns 1,000 and must not count."""
    wholes = moved("pbt", "dynamic", "far", 20.0)
    simple = [dataclasses.replace(one, arm="pbt, 2 pieces", whole="pbt") for one in moved("x", "dynamic", "far", 12.0)]
    lucky = dataclasses.replace(wholes[0], scores=dict.fromkeys(range(10), 1000.0))
    elsewhere = moved("pbt", "dynamic", "line", 500.0)
    (found,) = simplifying([lucky, *wholes[1:], *simple[1:], *elsewhere])
    assert (found.source, found.target, found.first, found.second) == ("line", "far", "pbt, 2 pieces", "pbt")
    assert found.interval.point == pytest.approx(-8, abs=1.5)
    assert found.interval.high < 0
    assert not found.is_claim  # of four tuner seeds
    assert simplifying([*wholes, *elsewhere]) == []


def test_a_training_that_failed_lowers_its_cell() -> None:
    spoiled = [Moved(*_head(m), {**m.scores, 0: -math.inf}) for m in moved("pbt", "dynamic", "line", 50.0)]
    (cell,), (sound,) = matrix(spoiled, {}), matrix(moved("pbt", "dynamic", "line", 50.0), {})
    assert cell.iqm.point < sound.iqm.point


def _head(of: Moved) -> tuple[str, str, str, int, str]:
    return of.source, of.arm, of.kind, of.tuner_seed, of.target
