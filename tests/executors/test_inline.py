"""The inline executor: segments, interruptions, evaluations, failures; with tiny agents and short episodes."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

import fragile
from cartwheel.agents.pets.setup import AgentSetup
from cartwheel.engines.engine import Engine
from cartwheel.errors import EnvironmentHangs
from cartwheel.executors import lanes
from cartwheel.executors.inline import InlineExecutor
from cartwheel.executors.lanes import AgentLanes, lanes_of_devices, restore
from cartwheel.executors.memory import MemoryPlan, needed_bytes
from cartwheel.executors.work import EpisodeDone, ItemDone, Outcome, Place, StartFrom, Work
from cartwheel.records import CheckpointId, Evaluation, Segment, SegmentId, ShrinkPerturb, Sources
from cartwheel.seeds import seed_integer
from cartwheel.store.checkpoints import CheckpointStore
from hand_made import TINY

CONFIG = fragile.CONFIG
Maker = Callable[..., InlineExecutor]


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path)


@pytest.fixture
def make(store: CheckpointStore) -> Iterator[Maker]:
    """Executors of two lanes on one device, all closed in the end."""
    made: list[InlineExecutor] = []

    def new(setup: AgentSetup | None = None, max_devices: int = 1, **options: Any) -> InlineExecutor:
        def lanes(place: Place) -> list[AgentLanes]:
            return lanes_of_devices(setup or fragile.setup(), place, max_devices)

        made.append(InlineExecutor(lanes, store, 2, **options))
        return made[-1]

    yield new
    for executor in made:
        executor.close()


def segment(trial: int, start: int = 0, stop: int = 2, config: Any = CONFIG) -> Segment:
    sources = None if start == 0 else Sources.whole(SegmentId(f"{trial}.0"))
    return Segment(trial, 0 if start == 0 else 1, config, start, stop, sources)


def work(item: Segment | Evaluation, checkpoint: CheckpointId | None = None, next_episode: int = 0) -> Work:
    start = None if checkpoint is None else StartFrom.whole(checkpoint)
    config, name = (item.config, item.id) if isinstance(item, Segment) else (CONFIG, "evaluation")
    return Work(item, config, ("test", name), start, next_episode)


def run(executor: InlineExecutor, works: Sequence[Work], patience_s: float = 120.0) -> list[Outcome]:
    """Submit all at once and wait until all are done."""
    outcomes: list[Outcome] = []
    for one in works:
        executor.submit(one)
    until = time.monotonic() + patience_s
    while sum(isinstance(outcome, ItemDone) for outcome in outcomes) < len(works):
        outcomes.extend(executor.next_outcomes(1.0))
        assert time.monotonic() < until, outcomes
    return outcomes


def episodes(outcomes: Sequence[Outcome], trial: int | None = None) -> list[EpisodeDone]:
    found = [outcome for outcome in outcomes if isinstance(outcome, EpisodeDone)]
    return [one for one in found if trial is None or (isinstance(one.item, Segment) and one.item.trial == trial)]


def done(outcomes: Sequence[Outcome], trial: int) -> ItemDone:
    items = [outcome for outcome in outcomes if isinstance(outcome, ItemDone)]
    return next(one for one in items if isinstance(one.item, Segment) and one.item.trial == trial)


def test_an_interrupted_segment_is_the_same_segment(make: Maker, store: CheckpointStore) -> None:
    """Run in one go, or stopped after an episode and restored by another executor: the same checkpoints, by digest."""
    whole = episodes(run(make(), [work(segment(1))]))
    assert [one.episode.index for one in whole] == [0, 1, 2]
    assert [one.episode.is_random for one in whole] == [True, False, False]
    assert [len(one.files) for one in whole] == [2, 3, 4]  # the checkpoint, and a replay shard per episode
    assert all(one.files[0].digest == one.checkpoint for one in whole)
    for file in whole[-1].files:
        store.verify(file.digest)
        assert store.size(file.digest) == file.size_bytes
    rest = episodes(run(make(), [work(segment(1), whole[0].checkpoint, next_episode=1)]))
    assert [one.episode.index for one in rest] == [1, 2]
    assert [one.checkpoint for one in rest] == [one.checkpoint for one in whole[1:]]
    assert [one.files for one in rest] == [one.files for one in whole[1:]]


def test_company_and_devices_change_no_digest(make: Maker) -> None:
    """The same segments, alone or four at once on two devices: the same checkpoints."""
    alone = [episodes(run(make(), [work(segment(trial))])) for trial in (1, 2)]
    together = run(make(max_devices=2), [work(segment(trial)) for trial in (3, 2, 4, 1)])
    for trial, expected in zip((1, 2), alone, strict=True):
        assert [one.checkpoint for one in episodes(together, trial)] == [one.checkpoint for one in expected]


def test_shapes_take_turns_and_change_nothing(make: Maker) -> None:
    """Agents of three shapes in two lanes: each ends as it does alone, and every program is compiled once."""
    configs = [CONFIG, {**CONFIG, "width": 6}, {**CONFIG, "num_networks": 3}]
    works = [work(segment(trial, config=configs[trial % 3])) for trial in range(6)]
    messages: list[str] = []
    together = run(make(on_message=messages.append), works)
    assert sum("compiling" in message for message in messages) == 3
    for trial in (1, 2):
        alone = run(make(), [works[trial]])
        assert [one.checkpoint for one in episodes(together, trial)] == [one.checkpoint for one in episodes(alone)]


@pytest.mark.parametrize(("most", "compiled"), [(1, 3), (2, 2)])
def test_programs_of_many_shapes_make_room(
    make: Maker, monkeypatch: pytest.MonkeyPatch, most: int, compiled: int
) -> None:
    """With too many the longest unused one goes, and is compiled anew when its shape comes back: the same results."""
    monkeypatch.setattr("cartwheel.executors.lanes.MAX_ENGINES", most)
    messages: list[str] = []
    executor = make(on_message=messages.append)
    small, large = (work(segment(trial, config={**CONFIG, "width": width})) for trial, width in ((1, 6), (2, 7)))
    first, _, again = (episodes(run(executor, [one])) for one in (small, large, small))
    assert sum("compiling" in message for message in messages) == compiled
    assert [one.checkpoint for one in again] == [one.checkpoint for one in first]


def test_more_items_than_lanes_wait_their_turn(make: Maker) -> None:
    """Five items on two lanes all get done, also those that were queued while every lane was busy."""
    executor = make()
    outcomes = run(executor, [work(segment(trial, stop=1 + trial % 2)) for trial in range(5)])
    assert [done(outcomes, trial).status for trial in range(5)] == ["done"] * 5
    assert [len(episodes(outcomes, trial)) for trial in range(5)] == [2, 3, 2, 3, 2]
    assert executor.num_free == 2


def test_a_copy_continues_under_its_own_config_and_seed(make: Maker) -> None:
    """A segment from another trial's checkpoint keeps the data, and goes its own way from there."""
    executor = make()
    parent = episodes(run(executor, [work(segment(1))]))[-1]
    copies = [segment(trial, start=2, stop=3) for trial in (2, 3)]
    outcomes = run(executor, [work(copy, parent.checkpoint, next_episode=3) for copy in copies])
    ends = [episodes(outcomes, trial)[-1] for trial in (2, 3)]
    assert all(set(parent.files[1:]) < set(end.files) for end in ends)
    assert ends[0].checkpoint != ends[1].checkpoint


def test_weights_are_shrunk_once_where_a_segment_begins(make: Maker, store: CheckpointStore) -> None:
    """With (0, 1) the parent's weights have no say; interrupted after an episode, the segment is the same segment."""
    executor = make()
    parents = [episodes(run(executor, [work(segment(trial))]))[-1].checkpoint for trial in (1, 2)]

    plain = segment(3, start=2, stop=4)
    changed = dataclasses.replace(plain, shrink_perturb=ShrinkPerturb(0.2, 0.1))
    as_is, whole = (episodes(run(executor, [work(item, parents[0], 3)])) for item in (plain, changed))
    assert whole[0].checkpoint != as_is[0].checkpoint
    rest = episodes(run(executor, [work(changed, whole[0].checkpoint, next_episode=4)]))
    assert [one.checkpoint for one in rest] == [whole[1].checkpoint]

    def loaded(change: ShrinkPerturb, parent: int) -> Any:
        item = dataclasses.replace(plain, shrink_perturb=change)
        engine = Engine(fragile.setup().task, fragile.setup().under(CONFIG).shape, 1)
        one, fresh = work(item, parents[parent], 3), engine.fresh(("test", item.id))
        engine.close()
        return restore(store, fresh, one, fragile.TASK.episode_length)[0]

    assert eqx.tree_equal(loaded(ShrinkPerturb(0.0, 1.0), 0).weights, loaded(ShrinkPerturb(0.0, 1.0), 1).weights)
    assert not eqx.tree_equal(loaded(ShrinkPerturb(0.2, 0.1), 0).weights, loaded(ShrinkPerturb(0.2, 0.1), 1).weights)


def test_an_evaluation_leaves_no_checkpoint(make: Maker, store: CheckpointStore) -> None:
    """Evaluations play and learn nothing: no file, no random episode, fresh seeds, the same result again."""
    executor = make()
    checkpoint = episodes(run(executor, [work(segment(1))]))[-1].checkpoint
    before = store.digests()
    evaluation = Evaluation(SegmentId("1.0"), 7, 3)
    played = [episodes(run(executor, [work(evaluation, checkpoint)])) for _ in range(2)]
    assert store.digests() == before
    assert [one.checkpoint for one in played[0]] == [None] * 3
    assert not any(one.episode.is_random or one.episode.metrics or one.files for one in played[0])
    assert [one.episode.return_ for one in played[0]] == [one.episode.return_ for one in played[1]]


def test_a_broken_environment_fails_its_item_alone(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The item ends as failed, with the reason; finished episodes stay; the neighbour goes on to its end."""
    monkeypatch.setattr(fragile.Fragile, "breaking_seeds", {seed_integer("test", "1.0", 1, "reset")})
    outcomes = run(make(), [work(segment(trial)) for trial in (1, 2)])
    assert done(outcomes, 1).status == "failed"
    assert "tests/Fragile-v0: step 3 raised RuntimeError" in done(outcomes, 1).reason
    assert len(episodes(outcomes, 1)) == 1
    broken = done(outcomes, 1).broken
    assert broken is not None
    assert (broken.index, broken.length) == (1, 2)
    assert done(outcomes, 2).status == "done"
    assert done(outcomes, 2).broken is None
    assert len(episodes(outcomes, 2)) == 3


def test_an_environment_that_cannot_be_made_again_fails_its_items(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constructor may work for the check before a study and break later: the items fail, and the next one tries."""
    outcomes = run(make(), [work(segment(3))])
    monkeypatch.setattr(fragile.Fragile, "__init__", lambda _: 1 / 0)
    executor = make()
    outcomes = run(executor, [work(segment(trial)) for trial in (1, 2)])
    for trial in (1, 2):
        assert done(outcomes, trial).status == "failed"
        assert "tests/Fragile-v0': making it raised ZeroDivisionError" in done(outcomes, trial).reason
    monkeypatch.undo()
    assert done(run(executor, [work(segment(4))]), 4).status == "done"


def test_an_environment_that_hangs_is_reported(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for outcomes is told the call and the setting; closing then leaves the thread behind."""
    let_go = threading.Event()
    monkeypatch.setattr(fragile.Fragile, "step", lambda *_: let_go.wait())
    executor = make(max_call_s=0.5)
    with pytest.raises(EnvironmentHangs, match=r"tests/Fragile-v0: step 1 has taken longer than 0.5 s.*max_call_s"):
        run(executor, [work(segment(1))])
    started = time.monotonic()
    executor.close()
    assert time.monotonic() - started < 1.0
    let_go.set()


def test_a_device_without_memory_fails_its_items(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """XLA's error is theirs, of its own kind and on one line; the next item gets a program of its own.

    There is memory for one program: what was promised to the lost one is free again.
    """
    monkeypatch.setattr(lanes, "PLAN", MemoryPlan(lambda _: needed_bytes(fragile.TASK, TINY, 2)))
    executor = make()

    def refuse(*_: object) -> None:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes.\nand more lines")

    with monkeypatch.context() as patched:
        patched.setattr(Engine, "run_episode", refuse)
        outcomes = run(executor, [work(segment(1)), work(segment(2))])
    for trial in (1, 2):
        assert (done(outcomes, trial).status, done(outcomes, trial).kind) == ("failed", "out_of_memory")
        assert "Out of memory allocating 123 bytes. and more" in done(outcomes, trial).reason
    assert done(run(executor, [work(segment(3))]), 3).status == "done"
    assert executor.num_free == 2


@pytest.mark.parametrize("part", ["fresh", "load"])
def test_an_agent_that_cannot_be_restored_for_want_of_memory(
    make: Maker, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """It fails with those in the same program, if that is lost, and the next ones get another."""
    executor = make()

    def refuse(*_: object) -> None:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes.")

    with monkeypatch.context() as patched:
        patched.setattr(Engine, part, refuse)
        outcomes = run(executor, [work(segment(1)), work(segment(2))])
    assert {done(outcomes, trial).kind for trial in (1, 2)} == {"out_of_memory"}
    assert done(run(executor, [work(segment(3))]), 3).status == "done"
    assert executor.num_free == 2


def test_programs_that_are_idle_make_room(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """With memory for one program at a time, agents of two shapes are run one after the other all the same."""
    wide = dataclasses.replace(TINY, width=7)
    monkeypatch.setattr(lanes, "PLAN", MemoryPlan(lambda _: needed_bytes(fragile.TASK, wide, 2)))
    executor = make()
    for trial, width in ((1, 6), (2, 7), (3, 6)):
        outcomes = run(executor, [work(segment(trial, config={**CONFIG, "width": width}))])
        assert done(outcomes, trial).status == "done"


def test_another_error_of_the_device_is_a_defect(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not taken for a failure of whoever ran."""

    def refuse(*_: object) -> None:
        raise jax.errors.JaxRuntimeError("INTERNAL: a defect")

    monkeypatch.setattr(Engine, "run_episode", refuse)
    with pytest.raises(jax.errors.JaxRuntimeError, match="a defect"):
        run(make(), [work(segment(1))])


def test_a_checkpoint_that_does_not_fit_fails_its_item(make: Maker, store: CheckpointStore) -> None:
    """Arrays of another shape are refused with their name, and the lane is free for the next item."""
    executor = make()
    checkpoint = episodes(run(executor, [work(segment(1))]))[-1].checkpoint
    assert checkpoint is not None
    arrays, manifest = store.read(checkpoint)
    wrong = store.write({**arrays, "weights/.weights[0]": np.zeros((2, 3, 9), np.float32)}, manifest)
    outcomes = run(executor, [work(segment(2, start=2, stop=3), wrong.digest, next_episode=3), work(segment(3))])
    assert done(outcomes, 2).status == "failed"
    assert "does not fit the agent: weights/.weights[0] is float32[2, 3, 9]" in done(outcomes, 2).reason
    assert done(outcomes, 3).status == "done"
    assert executor.num_free == 2


@pytest.mark.parametrize("config", [{"num_samples": 17}, {"learning_rate": 1e9}, {"no_such_hyper": 1.0}, {"width": 0}])
def test_a_config_that_cannot_run_fails_its_item(make: Maker, config: dict[str, Any]) -> None:
    """A config beyond the program's sizes, or no config at all, is that item's failure and nobody else's."""
    bad = segment(1, config={**CONFIG, **config})
    outcomes = run(make(), [work(bad), work(segment(2))])
    assert done(outcomes, 1).status == "failed"
    assert next(iter(config)) in done(outcomes, 1).reason
    assert done(outcomes, 2).status == "done"


def test_weights_that_blow_up_are_diverged(make: Maker, store: CheckpointStore) -> None:
    """A model whose weights are no longer finite ends as diverged, without a checkpoint."""
    executor = make()
    checkpoint = episodes(run(executor, [work(segment(1))]))[-1].checkpoint
    assert checkpoint is not None
    arrays, manifest = store.read(checkpoint)
    name = "weights/.weights[1]"
    blown = store.write({**arrays, name: np.full_like(arrays[name], 3e38)}, manifest)
    outcomes = run(executor, [work(segment(2, start=2, stop=3), blown.digest, next_episode=3)])
    assert done(outcomes, 2).status == "diverged"
    assert done(outcomes, 2).reason == "the model's weights are not finite"
    assert episodes(outcomes, 2) == []


def test_closing_abandons_the_running_episode(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """An executor in the middle of a long episode is gone within a second, and no half episode comes out."""
    monkeypatch.setattr(fragile.Fragile, "step_s", 0.5)
    executor = make()
    executor.submit(work(segment(1)))
    until = time.monotonic() + 120
    while max(executor.device_compile_s) == 0.0:
        assert time.monotonic() < until
        time.sleep(0.02)
    time.sleep(0.3)
    started = time.monotonic()
    executor.close()
    assert time.monotonic() - started < 1.0
    assert executor.next_outcomes(0.0) == []


def test_what_came_before_an_error_is_handed_over(make: Maker) -> None:
    """An episode that has ended is not lost because another lane's program has a defect."""
    executor, ended = make(), ItemDone(segment(1), "done", "", 0.0)
    executor._outcomes.put([ended])
    executor._outcomes.put(ArithmeticError("a defect"))
    assert executor.next_outcomes(1.0) == [ended]
    with pytest.raises(ArithmeticError, match="a defect"):
        executor.next_outcomes(1.0)


def test_an_error_in_a_lane_reaches_the_study(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is nobody's fault but the program's is raised where outcomes are awaited, not swallowed in a thread."""

    def explode(*_: Any) -> Any:
        raise ArithmeticError("a defect")

    monkeypatch.setattr("cartwheel.engines.engine.Engine.run_episode", explode)
    executor = make()
    with pytest.raises(ArithmeticError, match="a defect"):
        run(executor, [work(segment(1))])
