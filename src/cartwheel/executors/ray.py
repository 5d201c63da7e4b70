"""Workers as actors of a Ray cluster, on any of its machines.

Between machines there are no shared folders: checkpoints travel as bytes, under their digests. An actor keeps those it
has in a folder of its own, asks for what it lacks, and hands over what it writes together with the episode that it
tells of; the study's process puts that on disk before it hands the episode on. Nothing but JSON text and bytes is sent.
An actor that dies, alone or with its machine, is replaced wherever the cluster has room.
"""

import json
import math
import os
import queue
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from cartwheel.errors import ConfigError, CorruptCheckpoint
from cartwheel.executors.messages import Message, Recipe, work_to_json
from cartwheel.executors.work import Work
from cartwheel.executors.worker import Worker
from cartwheel.executors.workers import Signs
from cartwheel.records import CheckpointId
from cartwheel.store.checkpoints import CheckpointStore

LOCAL = "local"
"""Ray's word for a new cluster on this machine."""
MAX_CACHE_BYTES = 4 * 2**30
"""Of checkpoints that an actor keeps on its machine; the oldest go first, and are asked for again if need be."""
_HEAR_S = 1.0
_GPU_UNIT = 1e-4  # Ray shares out GPUs in such parts
_CONCURRENT_CALLS = 2  # it is listened to while it is told something


class _Mailbox:
    """A worker's line within its actor: what it is told, and what it tells."""

    def __init__(self) -> None:
        self.told: queue.Queue[Message] = queue.Queue()
        self._tells: queue.Queue[Message] = queue.Queue()
        self._is_closed = False

    def send(self, message: Message) -> None:
        if self._is_closed:
            raise EOFError
        self._tells.put(message)

    def receive(self, timeout_s: float) -> list[Message]:
        if self._is_closed:
            raise EOFError
        return _drained(self.told, timeout_s)

    def collect(self) -> list[Message]:
        """What the worker tells."""
        return _drained(self._tells, _HEAR_S)

    def close(self) -> None:
        """The worker stops."""
        self._is_closed = True


class _Actor:
    """A worker in a process that Ray started. Its methods take and return JSON texts and bytes."""

    def __init__(self, hello: str) -> None:
        about = json.loads(hello)
        self._folder = tempfile.TemporaryDirectory(prefix="cartwheel-")
        self._cache = CheckpointStore(Path(self._folder.name), self._fetch)
        self._known: set[str] = set()
        self._arrived: dict[str, queue.Queue[bytes]] = {}
        self._line = _Mailbox()
        recipe = Recipe(about["maker"], about["arguments"])
        arguments = (recipe, self._cache, about["num_lanes"], about["index"])
        threading.Thread(target=Worker(self._line).run, args=arguments, daemon=True).start()

    def run(self, work: str) -> None:
        """One more item."""
        self._line.told.put({"work": json.loads(work)})

    def take(self, digest: str, data: bytes) -> None:
        """A file that was asked for; empty if there is none."""
        self._known.add(digest)
        self._arrived[digest].put(data)

    def hear(self) -> tuple[str, dict[str, bytes]]:
        """What the worker tells, and the files of its episodes that the study has not got."""
        messages = self._line.collect()
        files = {digest: self._cache.data(digest) for digest in _digests_of(messages) if digest not in self._known}
        self._known.update(files)
        if files:
            self._forget_oldest()
        return json.dumps(messages), {str(digest): data for digest, data in files.items()}

    def stop(self) -> None:
        """Abandon running episodes, and leave no files."""
        self._line.close()
        self._folder.cleanup()

    def _fetch(self, digest: CheckpointId) -> bytes:
        arrival = self._arrived[digest] = queue.Queue()
        self._line.send({"wants": digest})
        data = arrival.get()
        if not data:
            raise CorruptCheckpoint("checkpoint cannot be read where the study runs", digest)
        return data

    def _forget_oldest(self) -> None:
        """Keep the folder within its bound. What is needed again is asked for again."""
        whole = map(self._cache.path, self._cache.digests())  # those being written now are not its business
        files = sorted(whole, key=lambda path: path.stat().st_mtime, reverse=True)
        num_bytes = 0
        for path in files:
            num_bytes += path.stat().st_size
            if num_bytes > MAX_CACHE_BYTES:
                path.unlink()


class ActorWorker:
    """One actor as the study's process sees it."""

    memory_mib = 0.0  # Ray watches the memory of its machines itself

    def __init__(self, actor: Any, checkpoints: CheckpointStore) -> None:
        self.signs = Signs()
        self._actor, self._checkpoints = actor, checkpoints
        self._stopping: list[Any] = []
        self._why = "ended"
        self.heard = actor.hear.remote()

    def send(self, work: Work) -> None:
        """Have it run an item. Nothing happens if it is gone: that is seen when it is listened to."""
        self._actor.run.remote(json.dumps(work_to_json(work)))

    def receive(self) -> list[Message]:
        """What it has said; files that came with it are on disk.

        Raises EOFError when it has ended, CorruptCheckpoint if a file is not what was written.
        """
        try:
            text, files = ray.get(self.heard)
        except RayTaskError:
            raise
        except RayError as error:
            self._why = str(error).splitlines()[0]
            raise EOFError from error
        for digest, data in files.items():
            if self._checkpoints.add(data).digest != digest:
                raise CorruptCheckpoint("a checkpoint has changed on its way here", digest)
        self.heard = self._actor.hear.remote()
        messages: list[Message] = json.loads(text)
        self.signs.note(messages)
        for message in messages:
            if "wants" in message:
                self._bring(message["wants"])
        return messages

    def let_go(self) -> None:
        """Tell it to stop."""
        self._stopping = [self._actor.stop.remote()]

    def end(self, timeout_s: float) -> str:
        """Wait so long until it has stopped, if it was told to, then make it end; what ended it, in Ray's words."""
        if self._stopping:
            ray.wait(self._stopping, timeout=timeout_s)
        ray.kill(self._actor)
        return self._why

    def _bring(self, digest: CheckpointId) -> None:
        try:
            data = self._checkpoints.data(digest)
        except CorruptCheckpoint:
            data = b""
        self._actor.take.remote(digest, data)


class RayActors:
    """The crew of a Ray cluster: a running one, or one of our own on this machine."""

    def __init__(
        self,
        recipe: Recipe,
        checkpoints: CheckpointStore,
        num_workers: int | None,
        lanes_per_worker: int,
        address: str | None = None,
    ) -> None:
        self._recipe, self._checkpoints = recipe, checkpoints
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            _connect(address or os.environ.get("RAY_ADDRESS") or LOCAL)
        resources = ray.cluster_resources()
        self.num_workers = num_workers or max(1, int(resources.get("CPU", 1)))
        self._num_gpus = resources.get("GPU", 0.0)
        self.lanes_per_worker = lanes_per_worker

    def start(self, index: int) -> ActorWorker:
        """A new actor, where the cluster has a core for it; until then it is not ready."""
        hello = {"maker": self._recipe.maker, "arguments": dict(self._recipe.arguments)}
        about = {"num_lanes": self.lanes_per_worker, "index": index}
        share = math.floor(min(1.0, self._num_gpus / self.num_workers) / _GPU_UNIT) * _GPU_UNIT
        options = {"num_cpus": 1, "num_gpus": share, "max_restarts": 0, "max_concurrency": _CONCURRENT_CALLS}
        remote: Any = ray.remote(**options)(_Actor)
        return ActorWorker(remote.remote(json.dumps({**hello, **about})), self._checkpoints)

    def wait(self, workers: Sequence[ActorWorker], timeout_s: float) -> Sequence[ActorWorker]:
        """Those that have something to say, or have ended."""
        if not workers:
            return []
        heard = [worker.heard for worker in workers]
        if not ray.wait(heard, timeout=timeout_s)[0]:
            return []
        talking, _ = ray.wait(heard, num_returns=len(heard), timeout=0)
        return [worker for worker in workers if worker.heard in talking]

    def close(self) -> None:
        """Leave the cluster; end it if it is ours."""
        if self._is_ours:
            ray.shutdown()


def _connect(address: str) -> None:
    """Join a cluster, or start one that opens no dashboard and reports nothing to anybody."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        with _own_signals():
            ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        cause = f"cannot use the Ray cluster: {str(error).splitlines()[0]}"
        raise ConfigError(
            cause, f"--ray-address {address}", "check that it runs (`ray status`), and its RAY_AUTH_TOKEN"
        ) from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray would end this process at SIGTERM; a study stops resumably."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _drained(waiting: "queue.Queue[Message]", timeout_s: float) -> list[Message]:
    """All that is in a queue, waiting so long for the first."""
    messages: list[Message] = []
    with suppress(queue.Empty):
        messages.append(waiting.get(timeout=timeout_s))
        while True:
            messages.append(waiting.get_nowait())
    return messages


def _digests_of(messages: Sequence[Message]) -> list[CheckpointId]:
    """The files that the episodes in these messages need."""
    told = [outcome.get("episode") for message in messages for outcome in message.get("outcomes", ())]
    return [CheckpointId(file["digest"]) for episode in told if episode for file in episode["files"]]
