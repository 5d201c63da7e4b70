"""Environments in processes of their own: the same numbers, and whatever they do to their process is a failure."""

import dataclasses
import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import deadly
from cartwheel.backend import AgentBackend
from cartwheel.envs import isolated
from cartwheel.envs.channel import Broken, Channel
from cartwheel.envs.isolated import EnvMaker, IsolatedEnv, recipe_of
from cartwheel.envs.lookup import find_task, task_for
from cartwheel.envs.making import TASK_FILE_MODULE, CannotMake
from cartwheel.envs.pool import EnvironmentFailed, WatchedEnv, make_env
from cartwheel.envs.process import MAX_LOG_BYTES
from cartwheel.envs.tasks import HOPPER, LINE, PENDULUM
from cartwheel.errors import ConfigError
from cartwheel.spec import EngineSpec, StudySpec
from deadly import DEAD_AT_ONCE, SEEDS

ZERO = np.zeros(1, np.float32)
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IsolatedEnv]:
    """One environment for all deeds: it is replaced when it has lost its process."""
    log = tmp_path_factory.mktemp("run") / "environment.log"
    made = EnvMaker(max_call_s=3.0, log=log)(deadly.TASK)
    assert isinstance(made, IsolatedEnv)
    yield made
    made.close()


def failure_of(env: IsolatedEnv, deed: str) -> EnvironmentFailed:
    """What three steps of an episode with that deed end with."""
    env.reset(SEEDS[deed])
    env.step(ZERO)
    env.step(ZERO)
    with pytest.raises(EnvironmentFailed) as failure:
        env.step(ZERO)
    return failure.value


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


@pytest.mark.parametrize(
    ("deed", "kind", "reason"),
    [
        ("segfault", "environment_error", "tests/Deadly-v0: step 3 ended its process by SIGSEGV"),
        ("exit", "environment_error", "step 3 ended its process, code 3; it said: the cable has snapped"),
        ("kill", "environment_error", "step 3 ended its process by SIGKILL"),
        ("hang", "timeout", "step 3 has taken longer than 3 s: its process was killed"),
        ("raise", "environment_error", "tests/Deadly-v0: step 3 raised RuntimeError('the cable"),
    ],
)
def test_whatever_it_does_is_a_failure_on_one_line(env: IsolatedEnv, deed: str, kind: str, reason: str) -> None:
    """With the kind, the step and how it ended; the next episode begins in a process that works."""
    failure = failure_of(env, deed)
    assert failure.kind == kind
    assert reason in str(failure)
    assert "\n" not in str(failure)
    env.reset(SEEDS["nothing"])
    for _ in range(deadly.TASK.episode_length):
        env.step(ZERO)
    assert env.is_over


def test_what_hangs_is_gone(env: IsolatedEnv) -> None:
    """It is killed, though it ignores being asked."""
    env.reset(SEEDS["hang"])
    assert env._process is not None
    pid = env._process._popen.pid
    env.step(ZERO)
    env.step(ZERO)
    with pytest.raises(EnvironmentFailed, match="longer than"):
        env.step(ZERO)
    assert not is_alive(pid)


def test_what_it_prints_goes_into_a_log_that_ends(env: IsolatedEnv, capfd: pytest.CaptureFixture[str]) -> None:
    """Never to where a study prints; of more than a megabyte the rest is dropped, and nobody waits for a reader."""
    env.reset(SEEDS["print"])
    for _ in range(3):
        env.step(ZERO)
    until = time.monotonic() + PATIENCE_S
    assert env.log is not None
    while not env.log.exists() or env.log.stat().st_size < MAX_LOG_BYTES:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert env.log.stat().st_size == MAX_LOG_BYTES
    assert capfd.readouterr() == ("", "")


def test_isolation_changes_no_bit() -> None:
    """Observations, rewards, ends and warnings of an episode are those of the same environment inside."""
    inside, outside = make_env(HOPPER), EnvMaker("all")(HOPPER)
    assert isinstance(inside, WatchedEnv)
    assert isinstance(outside, IsolatedEnv)
    rng = np.random.default_rng(0)
    for seed in range(3):
        assert inside.reset(seed).tobytes() == outside.reset(seed).tobytes()
        while not inside.is_over:
            action = rng.uniform(-1, 1, 3).astype(np.float32)
            (obs, *paid), (same_obs, *same_paid) = inside.step(action), outside.step(action)
            assert (obs.tobytes(), obs.dtype, paid) == (same_obs.tobytes(), same_obs.dtype, same_paid)
            assert (inside.is_over, inside.warnings) == (outside.is_over, outside.warnings)
            assert inside.metrics == outside.metrics
    with pytest.raises(EnvironmentFailed) as failure:  # the physics is watched there, too
        outside.step(np.full(3, 1e30, np.float32))
    assert failure.value.kind == "unstable_physics"
    assert outside.warnings
    outside.close()


@pytest.mark.parametrize(
    ("deed", "kind", "reason"),
    [
        ("exit", "environment_error", "making it ended its process, code 3; it said: the cable has snapped"),
        ("hang", "timeout", "making it has taken longer than 2 s: its process was killed"),
        ("raise", "environment_error", "making it raised RuntimeError"),
    ],
)
def test_what_cannot_be_made_says_why(deed: str, kind: str, reason: str) -> None:
    """A constructor that raises, ends its process, or never returns."""
    task = dataclasses.replace(deadly.TASK, env_kwargs={"on_making": deed})
    maker = EnvMaker(max_call_s=2.0)
    for attempt in (lambda: maker(task), lambda: maker.look(task.env_id, task.env_kwargs)):
        with pytest.raises(CannotMake, match="tests/Deadly-v0") as failure:
            attempt()
        assert failure.value.kind == kind
        assert reason in str(failure.value)
        assert "\n" not in str(failure.value)


class Begun:
    """Counts the processes that looks begin."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self._begin = 0, isolated.begin
        monkeypatch.setattr(isolated, "begin", self)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.count += 1
        return self._begin(*arguments, **named)


def test_an_unknown_environment_is_looked_at_from_outside_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found is what would be inside; a second look, as at a resume of many studies, costs nothing."""
    begun = Begun(monkeypatch)
    inside = EnvMaker("none").look("tests/Deadly-v0", {})
    assert begun.count == 0
    maker = EnvMaker(max_call_s=61.0)  # nobody has looked so before
    assert maker.look("tests/Deadly-v0", {}) == inside
    assert find_task("tests/Deadly-v0", 6, maker).action_low == inside.action_low
    assert begun.count == 1


def test_a_study_of_an_unknown_environment_is_checked_by_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its making is tried when it is looked at, and then not again before an agent needs it."""
    begun = Begun(monkeypatch)
    settings = {"env_id": "tests/Deadly-v0", "episode_length": 6, "num_episodes": 1, "engine": {"max_call_s": 62.0}}
    AgentBackend().check(StudySpec.model_validate(settings), [{}])
    assert begun.count == 1
    with pytest.raises(ConfigError, match="making it ended its process, code 3; it said: the cable has snapped"):
        AgentBackend().check(StudySpec.model_validate({**settings, "env_id": DEAD_AT_ONCE}), [{}])


def test_a_module_may_look_at_its_own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When it is imported: by us, and in the process of the environment, which looks for itself and begins no other."""
    (tmp_path / "looks_at_itself.py").write_text(
        "import deadly\nfrom cartwheel import task_for\n"
        "class Own(deadly.Deadly): pass\n"
        "task = task_for(Own, episode_length=6)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    begun = Begun(monkeypatch)
    assert importlib.import_module("looks_at_itself").task.obs_size == deadly.TASK.obs_size
    assert begun.count == 1


def test_looking_at_what_ships_begins_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start-up would feel it; ``all`` asks for one."""
    begun = Begun(monkeypatch)
    assert task_for("Hopper-v5").action_low == HOPPER.action_low
    assert find_task("cartwheel/Line-v0").obs_size == LINE.obs_size
    assert begun.count == 0
    assert find_task("cartwheel/Line-v0", maker=EnvMaker("all")) == find_task("cartwheel/Line-v0")
    assert begun.count == 1


def test_a_study_that_does_not_say_has_the_same_patience() -> None:
    assert EngineSpec().max_call_s == isolated.MAX_CALL_S


ORPHAN = """
import deadly
from cartwheel.envs.isolated import EnvMaker
env = EnvMaker()(deadly.TASK)
env.reset(deadly.SEEDS["hang"])
print(env._process._popen.pid, flush=True)
for _ in range(3):
    env.step([0.0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux only")
def test_a_killed_study_leaves_no_orphan() -> None:
    """Not even an environment that hangs."""
    paths = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths}
    )
    assert process.stdout is not None
    with process.stdout:
        pid = int(process.stdout.readline())
    assert is_alive(pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    until = time.monotonic() + PATIENCE_S
    while is_alive(pid):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_who_gets_a_process() -> None:
    """What ships runs inside by default; ``all`` and ``none`` say otherwise."""
    for isolate, shipped, foreign in (("foreign", False, True), ("all", True, True), ("none", False, False)):
        maker = EnvMaker(isolate)  # type: ignore[arg-type]
        assert [maker.isolates(task.env_id) for task in (LINE, PENDULUM, deadly.TASK)] == [shipped, shipped, foreign]


def register(entry: Any, **kwargs: Any) -> Any:
    """A task of an environment that was registered with that."""
    env_id = f"tests/Entry{len(gymnasium.registry)}-v0"
    gymnasium.register(env_id, entry_point=entry, kwargs=kwargs)
    return dataclasses.replace(deadly.TASK, env_id=env_id)


def test_what_another_process_cannot_find_stays_inside() -> None:
    """Classes of a script or of a function, and arguments that are no data; a user is told once what to do."""

    class Local(deadly.Deadly):
        """Cannot be imported."""

    in_script = type("Deadly", (deadly.Deadly,), {"__module__": "__main__", "__qualname__": "Nowhere"})
    for task in (register(Local), register(in_script), register(deadly.Deadly, deeds=object())):
        assert recipe_of(task.env_id, task.env_kwargs) is None
        assert "runs in this process" in EnvMaker().exception(task)
        assert EnvMaker("none").exception(task) == ""
    assert isinstance(EnvMaker()(register(Local)), WatchedEnv)
    for task in (register(deadly.Deadly), register("deadly:Deadly"), HOPPER, LINE):
        assert recipe_of(task.env_id, task.env_kwargs) is not None
        assert EnvMaker("all").exception(task) == ""


def test_an_environment_of_a_task_file_is_made_by_running_the_file() -> None:
    """Path and SHA-256 travel; without them it stays inside."""
    module = f"{TASK_FILE_MODULE}0123456789abcdef"
    task = register(type("Puck", (deadly.Deadly,), {"__module__": module, "__qualname__": "Puck"}))
    assert recipe_of(task.env_id, task.env_kwargs) is None
    recipe = recipe_of(task.env_id, task.env_kwargs, ("my_task.py", "ab" * 32))
    assert recipe is not None
    assert recipe["task_file"] == ["my_task.py", "ab" * 32]


def test_messages_arrive_as_they_were_sent() -> None:
    """Numbers that JSON has no form for as well, and bytes, in pieces of any size."""
    one, two = (Channel(end) for end in socket.socketpair())
    data = np.random.default_rng(0).bytes(300_000)
    threading.Thread(target=one.send, args=({"reward": -np.inf, "text": "ä"}, data)).start()
    assert two.receive(10.0) == ({"reward": -np.inf, "text": "ä"}, data)
    with pytest.raises(TimeoutError):
        two.receive(0.01)
    one.close()
    with pytest.raises(Broken):
        two.receive(1.0)
    two.close()


@pytest.mark.parametrize(
    "garbage",
    [b"\xff" * 8, b"\0\0\0\2\0\0\0\0{]", b"\0\0\0\1\0\0\0\0" + b"7", b"\0\0\0\1"],
    ids=["long", "syntax", "kind", "cut"],
)
def test_nonsense_is_refused(garbage: bytes) -> None:
    """Too long, not JSON, no header, cut off: nothing is believed, and nothing large is waited for."""
    one, two = socket.socketpair()
    one.sendall(garbage)
    one.close()
    with pytest.raises(Broken):
        Channel(two).receive(1.0)
    two.close()
