"""Who was stopped for a while does not hang."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cartwheel.envs import calls, channel
from cartwheel.envs.calls import MAX_LOOK_S, Watcher, calling


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(calls, "time", made)
    return made


def waited_s(watcher: Watcher) -> float:
    return sum(seconds for _, seconds in watcher.look([threading.current_thread()]).values())


def test_a_call_lasts_as_long_as_it_was_watched(clock: Clock) -> None:
    """A call that takes its time is seen to; another one begins at nothing."""
    watcher = Watcher()
    with calling("step 1"):
        for _ in range(40):
            clock.now += 0.25
            waited = waited_s(watcher)
    assert waited == pytest.approx(10.0)
    with calling("step 2"):
        assert waited_s(watcher) == 0.0
    assert waited_s(watcher) == 0.0


def test_time_in_which_nothing_ran_does_not_count(clock: Clock) -> None:
    """Stopped for an hour, in the middle of a call: it has not taken an hour."""
    watcher = Watcher()
    with calling("step 1"):
        clock.now += 0.25
        waited_s(watcher)
        clock.now += 3600.0
        assert waited_s(watcher) <= 0.25 + MAX_LOOK_S
        clock.now += 0.25
        assert waited_s(watcher) <= 0.5 + MAX_LOOK_S


WAITING = """
import socket, sys
from cartwheel.envs.channel import Channel
end = socket.socket(fileno=int(sys.argv[1]))
channel = Channel(end)
channel.send({"ready": True})
print(channel.receive(1.5)[0], flush=True)
"""


def test_a_stopped_study_does_not_give_up_an_environment() -> None:
    """It waits 1.5 s for an answer, is stopped for 2.5, and still takes the answer that comes after that."""
    ours, theirs = socket.socketpair()
    source = str(Path(channel.__file__).parents[2])
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", WAITING, str(theirs.fileno())],
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": source},
        )
    end = channel.Channel(ours)
    end.receive(60.0)
    process.send_signal(signal.SIGSTOP)
    time.sleep(2.5)
    process.send_signal(signal.SIGCONT)
    time.sleep(0.2)
    end.send({"answer": 42})
    out, _ = process.communicate(timeout=30)
    end.close()
    assert out == "{'answer': 42}\n"


def test_silence_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            channel.Channel(ours).receive(0.7)
        assert time.monotonic() - began > 0.6
