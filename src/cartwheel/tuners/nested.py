"""Static hyperparameters around a dynamic tuner: for each of a few draws of them a tuner of its own for all others.

A dynamic tuner copies agents and changes their configs while they train. The size of a network can be neither changed
so nor copied onto another. So Random Search draws the static hyperparameters, and each draw, a *shape*, gets an inner
tuner over the rest of the space: agents are copied among those of one shape only. All shapes run side by side and are
ranked together; the budget is shared equally, and there is no early stopping of a shape that looks bad.

Which shapes there are is a function of the seed and of their number, and more of them begin with the same ones. No two
are equal; the first is the default one, if the inner tuner begins with the default config.

Trial t of the k-th of K inner tuners is trial t K + k of the study, however many trials an inner tuner comes to have.
Shapes are asked in order: where one waits for its last member, the next one uses the lanes, and those of one shape,
which share a program, run together.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeAlias

from cartwheel.records import (
    Config,
    Event,
    Issued,
    Reported,
    Segment,
    SegmentId,
    Sources,
    Value,
    Voided,
    segment_id,
    trial_of,
)
from cartwheel.seeds import numpy_rng, seed_integer
from cartwheel.spaces.space import Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.history import History

MakeInner: TypeAlias = Callable[[Space, int], Tuner]
"""(space, seed) -> an inner tuner."""
MAX_TRIES_PER_SHAPE = 100
"""A shape that comes up once in ten draws is then overlooked less than once in 10^4 times (0.9^100)."""


def draw_shapes(space: Space, seed: int, num_shapes: int, default_first: bool) -> list[Config]:
    """Different draws of the static parameters. Raises ValueError if there are not that many, or none is static."""
    if not space.static_names:
        raise ValueError(
            "num_shapes: no hyperparameter of the space is static (is_static), so there is nothing to draw"
        )
    if num_shapes < 1:
        raise ValueError(f"num_shapes must be at least 1, got {num_shapes}")
    static = space.only(space.static_names)
    shapes: list[Config] = [static.default] if default_first else []
    for attempt in range(MAX_TRIES_PER_SHAPE * num_shapes):
        if len(shapes) == num_shapes:
            return shapes
        drawn = static.sample(numpy_rng(seed, "tuner", "shape", attempt))
        shapes += [drawn] if drawn not in shapes else []
    raise ValueError(
        f"num_shapes: {num_shapes} different draws of {', '.join(static.names)} were not found; ask for fewer"
    )


class Nested:
    """``shapes``: values of all static parameters; ``make_inner`` is called once for each of them.

    ``is_longest_first``: how the inner tuner ranks, as in ``History.ranking``.
    """

    def __init__(
        self, space: Space, seed: int, shapes: list[Config], make_inner: MakeInner, is_longest_first: bool = False
    ) -> None:
        self._space, self._seed, self._shapes, self._is_longest_first = space, seed, shapes, is_longest_first
        self._spaces = [self._rest(shape) for shape in shapes]
        seeds = [seed_integer(seed, "tuner", "inner", k) for k in range(len(shapes))]
        self._tuners = [make_inner(*each) for each in zip(self._spaces, seeds, strict=True)]
        self._history = History()

    def ask(self, num_free: int) -> list[Segment]:
        asked: list[Segment] = []
        for k, tuner in enumerate(self._tuners):
            asked += [self._outer(segment, k) for segment in tuner.ask(num_free - len(asked))]
        return asked

    def tell(self, event: Event) -> None:
        match event:
            case Issued(segment):
                self._tell(segment.id, Issued(self._inner(segment)))
            case Reported(report):
                inner = dataclasses.replace(report, segment=self._inner_id(report.segment))
                self._tell(report.segment, Reported(inner))
            case Voided(voided):
                self._tell(voided, Voided(self._inner_id(voided)))
        self._history.tell(event)

    @property
    def is_done(self) -> bool:
        return all(tuner.is_done for tuner in self._tuners)

    def ranking(self) -> list[SegmentId]:
        return self._history.ranking(self._is_longest_first)

    def needed(self, num_best: int) -> set[SegmentId]:
        if self.is_done:
            return set(self.ranking()[:num_best])
        return {
            _renumbered_id(segment, self._outer_trial(k))
            for k, tuner in enumerate(self._tuners)
            for segment in tuner.needed(num_best)
        }

    def state(self) -> dict[str, Any]:
        states = [tuner.state() for tuner in self._tuners]
        return {
            "seed": self._seed,
            "space": self._space.to_dict(),
            "shapes": [dict(shape) for shape in self._shapes],
            "tuners": states,
            "warnings": list(dict.fromkeys(warning for state in states for warning in state.get("warnings", ()))),
        }

    def _rest(self, shape: Config) -> Space:
        """What an inner tuner searches. Raises ValueError if that is nothing."""
        dynamic = [name for name in self._space.names if name not in shape]
        if not self._space.acting({**self._space.default, **shape}) & set(dynamic):
            told = ", ".join(f"{name} = {value}" for name, value in shape.items())
            raise ValueError(
                f"num_shapes: with {told} nothing is left to change while agents train; use a static tuner"
            )
        return self._space.only(dynamic, fixed=shape)

    def _shape_of(self, segment: SegmentId) -> int:
        return trial_of(segment) % len(self._shapes)

    def _tell(self, outer: SegmentId, event: Event) -> None:
        k = self._shape_of(outer)
        try:
            self._tuners[k].tell(event)
        except ValueError as error:
            raise ValueError(f"segment {outer}, shape {k} with its own numbers: {error}") from None

    def _outer(self, segment: Segment, k: int) -> Segment:
        config = {**self._space.default, **self._shapes[k], **segment.config}
        renumbered = self._renumbered(segment, self._outer_trial(k))
        return dataclasses.replace(renumbered, config=config)

    def _outer_trial(self, k: int) -> Callable[[int], int]:
        """From the numbers of the k-th inner tuner's trials to those of the study."""
        return lambda trial: trial * len(self._shapes) + k

    def _inner(self, segment: Segment) -> Segment:
        """Raises ValueError unless values and sources are those of the trial's shape."""
        k = self._shape_of(segment.id)
        self._space.check(segment.config)
        for name, value in self._shapes[k].items():
            if not _is_same(segment.config[name], value):
                raise ValueError(
                    f"segment {segment.id} was issued with {name} {segment.config[name]}; its shape has {value}"
                )
        for source in dataclasses.astuple(segment.sources) if segment.sources else ():
            if self._shape_of(source) != k:
                raise ValueError(f"segment {segment.id} starts from {source}, which has another shape")
        config = {name: segment.config[name] for name in self._spaces[k].names}
        renumbered = self._renumbered(segment, lambda trial: trial // len(self._shapes))
        return dataclasses.replace(renumbered, config=config)

    def _inner_id(self, segment: SegmentId) -> SegmentId:
        return _renumbered_id(segment, lambda trial: trial // len(self._shapes))

    @staticmethod
    def _renumbered(segment: Segment, number: Callable[[int], int]) -> Segment:
        sources = None
        if segment.sources is not None:
            parts = dataclasses.asdict(segment.sources)
            sources = Sources(**{part: _renumbered_id(source, number) for part, source in parts.items()})
        return dataclasses.replace(segment, trial=number(segment.trial), sources=sources)


def _renumbered_id(segment: SegmentId, number: Callable[[int], int]) -> SegmentId:
    trial, _, index = segment.partition(".")
    return segment_id(number(int(trial)), int(index))


def _is_same(found: Value, expected: Value) -> bool:
    """But for the last bits of a real number, which another machine's logarithm may give differently."""
    if isinstance(found, float) and isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=1e-9)
    return found == expected
