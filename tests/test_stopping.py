"""A stop in time, whatever code is running."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cartwheel import stopping

CHILD = """
import hashlib, sys, threading
from cartwheel import stopping
stopping.PATIENCE_S = 0.5

def compute():
    # seconds in C, without the interpreter's lock, as a compiler of JAX is: no handler runs meanwhile
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)

with stopping.StopSignal() as stop:
    print("ready", flush=True)
    if sys.argv[1] == "main":
        compute()
    thread = threading.Thread(target=compute, daemon=True)
    thread.start()
    while not stop():
        thread.join(0.05)
    if sys.argv[1] == "thread":
        thread.join()
print("left", flush=True)
sys.exit(stop.exit_code)
"""


def started(where: str) -> subprocess.Popen[str]:
    source = str(Path(stopping.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, where],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    return process


@pytest.mark.parametrize("where", ["main", "thread"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_compiled_code_does_not_hold_up_a_stop(where: str, number: signal.Signals, code: int) -> None:
    """In the main thread no handler runs, and in another one somebody waits for it: the process ends all the same."""
    process = started(where)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert "the same command goes on" in err
    assert err.count("\n") == 1


def test_a_second_signal_ends_compiled_code_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting for the patience of the first."""
    monkeypatch.setattr(f"{__name__}.CHILD", CHILD.replace("PATIENCE_S = 0.5", "PATIENCE_S = 50.0"))
    process = started("main")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=40)
    assert process.returncode in (143, -signal.SIGTERM)


def test_a_stop_in_time_is_left_alone() -> None:
    """Nothing is printed, and the code is that of whoever stopped."""
    process = started("neither")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "left\n", "")


def test_a_stop_is_promised_within_ten_seconds() -> None:
    assert stopping.PATIENCE_S < 10
