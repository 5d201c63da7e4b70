"""SIGKILL at any moment: nothing acknowledged is lost, and the resumed study ends bit for bit as the whole one."""

import os
import signal
import time

import numpy as np
import pytest

import faults
from faults.case import Case, Whole, finish
from faults.conftest import MakeCase
from faults.steps import Fault

MAX_RESUME_S = 5.0
"""On a machine that does nothing else; where others wait for its processors too, a process waits as long as they."""


def check_resumed(case: Case, whole: Whole, num_deaths: int = 1) -> None:
    """What was acknowledged before the last death is not run again, and the rest of the study takes seconds."""
    acknowledged, before = case.told(), case.ran()
    began = time.perf_counter()
    finish(case)
    took_s, num_waiting = time.perf_counter() - began, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    print(f"resumed in {took_s:.2f} s, at a load of {num_waiting:.1f} per core")
    assert took_s < MAX_RESUME_S * num_waiting
    again = case.ran() - before
    names = {f"{'validation-of-' * (kind != 'episode')}{segment} {index}" for kind, segment, index, _ in acknowledged}
    assert not names & again.keys()
    whole.check(case, acknowledged, num_deaths)


@pytest.fixture(params=["whole", "thin"])
def study(request: pytest.FixtureRequest) -> Whole:
    """One that keeps all checkpoints, and one that drops some as it goes."""
    found: Whole = request.getfixturevalue(request.param)
    return found


def test_killed_at_random_times(make_case: MakeCase, study: Whole) -> None:
    """The process group, 1 to 3 times in a row, then the same command to the end."""
    rng = np.random.default_rng(0)
    for number in range(faults.count(ci=10, long=100)):
        case = make_case(number, study.case.size)
        num_deaths = int(rng.integers(1, 4))
        for _ in range(num_deaths):
            pid = case.start()
            time.sleep(rng.uniform(0.0, study.wall_s))
            case.kill(pid)
        check_resumed(case, study, num_deaths)


def test_killed_at_named_steps(make_case: MakeCase, study: Whole) -> None:
    """Right before and right after every kind of step on disk: each name in turn, at a random one of its times."""
    counted = make_case("counted", study.case.size)
    counted.run(has_steps=True)
    names = counted.steps()
    kinds, rng = sorted(set(names)), np.random.default_rng(1)
    for number in range(faults.count(ci=10, long=100)):
        places = [place for place, name in enumerate(names, 1) if name == kinds[number % len(kinds)]]
        action = "kill-before" if rng.random() < 0.5 else "kill-after"
        case = make_case(number, study.case.size)
        assert case.run(fault=Fault(int(rng.choice(places)), action)) == -signal.SIGKILL  # type: ignore[arg-type]
        check_resumed(case, study)
