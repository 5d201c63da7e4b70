"""The page that sets our seconds beside mbrl-lib's: ratios are of runs that were made next to each other."""

from typing import Any

from benchmarks.peers.cases import CASES
from benchmarks.peers.summary import OURS, THEIRS, page


def rows(side: str, seed: int, plan_s: float, *returns: float) -> list[dict[str, Any]]:
    """Episodes of 10 steps and 5 updates; the random one, which is not timed, takes no planning."""
    common = {"case": "line", "side": side, "seed": seed, "env_steps": 10, "num_updates": 5, "setup_s": 2.0}
    times = {"fit_s": 0.01, "env_s": 0.001, "cpu_s": 0.1}
    return [
        {**common, **times, "episode": episode, "return": value, "plan_s": plan_s if episode else 0.0}
        for episode, value in enumerate(returns)
    ]


TABLE = [
    *rows(THEIRS, 0, 0.4, -3.0, -1.0),
    *rows(OURS, 0, 0.1, -4.0, -0.5),
    *rows(THEIRS, 1, 0.6, -5.0, -2.0),
    *rows(OURS, 1, 0.2, -6.0, -0.25),
]


def test_seconds_are_per_step_and_ratios_of_pairs() -> None:
    """40 and 60 ms against 10 and 20: ratios 4 and 3, not 50 / 15."""
    assert "| planning, ms per env step | 50 | 15 | 3.5 (3 to 4) |" in page(TABLE, ["Facts."])
    assert "| fitting, ms per update | 2 | 2 | 1 (1 to 1) |" in page(TABLE, [])


def test_returns_are_shown_with_their_spread() -> None:
    assert "| 0 (random) | -4 (-5 to -3) | -5 (-6 to -4) |" in page(TABLE, [])
    assert "| 1 | -1.5 (-2 to -1) | -0.375 (-0.5 to -0.25) |" in page(TABLE, [])


def test_both_sides_keep_as_many_elites() -> None:
    """One rounds up, the other down."""
    elites = [case.sizes.elite_ratio * case.sizes.num_samples for case in CASES.values()]
    assert elites == [round(number) for number in elites]
