"""What the benchmark of isolation times is the same work on both sides."""

import pytest

from benchmarks.speed.isolation import TASKS, measured, steps
from benchmarks.speed.timing import ratios


def test_both_ways_take_the_same_steps() -> None:
    """Beyond the end of an episode, and again whenever it is called."""
    task = TASKS["classic"]
    num_steps = task.episode_length + 10
    with steps(task, "none", num_steps) as inside, steps(task, "all", num_steps) as isolated:
        totals = [inside(), isolated(), inside(), isolated()]
    assert len(set(totals)) == 1
    assert totals[0] < 0.0, "a pendulum that is moved at random pays"


def test_a_row_is_made_of_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ratio is that of runs that followed on one another; the microseconds are those of one step."""
    seconds = {"none": [1.0, 2.0, 4.0], "all": [3.0, 3.0, 4.0]}
    monkeypatch.setattr("benchmarks.speed.isolation.in_turns", lambda jobs, repeats: seconds)
    monkeypatch.setattr("cartwheel.envs.isolated.EnvMaker.isolates", lambda *_: False)  # nothing is stepped
    row = measured("MuJoCo", num_steps=1000, repeats=3)
    assert (row["ratio"], row["lowest"], row["highest"]) == ratios(seconds["all"], seconds["none"]) == (1.5, 1.0, 3.0)
    assert (row["inside, us"], row["isolated, us"], row["added, us"]) == (2000.0, 3000.0, 1000.0)
