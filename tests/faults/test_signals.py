"""Signals: the first asks for a stop, the second ends the process, a stopped process goes on as if nothing had been."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import faults
from cartwheel.errors import ExitCode
from faults.case import Case, Size, Whole, finish
from faults.conftest import MakeCase, run_whole
from faults.nursery import Nursery

PAUSE_S = 0.01
CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
STOPPED_S = 20.0 if faults.IS_LONG else 2.0
MAX_REACTION_S = 5.0


MAX_STOP_S = 10.0
"""What is promised."""
COMPILES_S = 1.0
"""So long after compiling has begun the compiler is at work, and has seconds to go."""
PETS_STUDY = """
env_id = "cartpole-swingup"
num_episodes = 2
[tuner]
name = "random-search"
num_trials = 1
"""


@pytest.fixture(scope="module")
def short(nursery: Nursery, quick_folder: Path) -> Whole:
    """Eight segments."""
    return run_whole(nursery, quick_folder / "short", Size(population=2, num_episodes=4))


def begun(case: Case, rng: np.random.Generator) -> int:
    """A process that has acknowledged an episode, and then has run on for a random time."""
    pid, num_before = case.start(pause_s=PAUSE_S), len(case.told())
    deadline = time.monotonic() + MAX_REACTION_S
    while len(case.told()) == num_before:
        assert time.monotonic() < deadline, case.errors()
        time.sleep(0.005)
    time.sleep(rng.uniform(0.0, 4 * PAUSE_S))
    return pid


@pytest.mark.parametrize("number", CODES)
def test_one_signal_stops_resumably(make_case: MakeCase, short: Whole, number: signal.Signals) -> None:
    """With the shell's code and without a word of error; no episode that was acknowledged runs again."""
    rng = np.random.default_rng(number)
    for k in range(faults.count(ci=4, long=20)):
        case = make_case(k, short.case.size)
        pid = begun(case, rng)
        os.kill(pid, number)
        assert case.wait(pid) == CODES[number]
        assert case.errors() == ""
        acknowledged = case.told()
        finish(case)
        short.check(case, acknowledged)


@pytest.mark.parametrize("number", CODES)
def test_two_signals_end_the_process(make_case: MakeCase, short: Whole, number: signal.Signals) -> None:
    """At once, whatever it does; the study resumes all the same."""
    rng = np.random.default_rng(number)
    for k in range(faults.count(ci=1, long=5)):
        case = make_case(k, short.case.size)
        pid = begun(case, rng)
        os.kill(pid, number)
        os.kill(pid, number)
        # it may have stopped at the first one before the second came
        assert case.wait(pid) in (-number, CODES[number])
        acknowledged = case.told()
        finish(case)
        short.check(case, acknowledged)


def test_a_stopped_process_goes_on(make_case: MakeCase, short: Whole) -> None:
    """SIGSTOP for a while, then SIGCONT: the study is still its own, and ends as it would have."""
    rng = np.random.default_rng(5)
    for k in range(faults.count(ci=2, long=10)):
        case = make_case(k, short.case.size)
        pid = begun(case, rng)
        os.killpg(pid, signal.SIGSTOP)
        assert Case.run(case) == ExitCode.STORAGE  # nobody else may run it meanwhile
        assert f"process {pid}" in case.errors()
        time.sleep(STOPPED_S)
        os.killpg(pid, signal.SIGCONT)
        assert case.wait(pid) == ExitCode.DONE
        short.check(case, case.told(), num_deaths=0)


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES)
def test_a_signal_while_xla_compiles(tmp_path: Path, number: signal.Signals) -> None:
    """The programs of a real agent, and no cache: the study is gone in time, with the shell's code and no traceback."""
    (tmp_path / "study.toml").write_text(PETS_STUDY)
    command = [str(Path(sys.executable).with_name("cartwheel")), "tune", "study.toml", "--no-compile-cache"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=tmp_path, bufsize=0, stdout=pipe, stderr=pipe, start_new_session=True
    ) as process:
        assert process.stdout is not None
        while b"compiling for" not in process.stdout.readline():
            assert process.poll() is None
        time.sleep(COMPILES_S)
        assert not select.select([process.stdout], [], [], 0)[0], "it has compiled: the signal would say nothing"
        began = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        took_s = time.monotonic() - began
    assert process.returncode == CODES[number]
    assert took_s < MAX_STOP_S
    assert b"Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
