"""Several processes on one study: one runs it, the others are refused, and nothing is done twice."""

import numpy as np
import pytest

import faults
from cartwheel.errors import ExitCode
from faults.case import Whole, finish
from faults.conftest import MakeCase


@pytest.mark.parametrize("num_processes", [2, 8])
def test_several_processes_begin_one_study(make_case: MakeCase, whole: Whole, num_processes: int) -> None:
    """At once, with the same command: those that are refused say who runs it; one may be killed meanwhile."""
    rng = np.random.default_rng(num_processes)
    for number in range(faults.count(ci=10, long=100)):
        case = make_case(number)
        pids = [case.start() for _ in range(num_processes)]
        is_killed = rng.random() < 0.5
        if is_killed:
            case.kill(pids.pop(int(rng.integers(num_processes))))
        codes = {case.wait(pid) for pid in pids}
        assert codes <= {ExitCode.DONE, ExitCode.STORAGE}
        assert case.errors().count("the study is being run by") == len(case.errors().splitlines())
        acknowledged = case.told()
        finish(case)
        whole.check(case, acknowledged, num_deaths=int(is_killed))
