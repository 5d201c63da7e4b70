"""What the shelves pass around: segments, episodes, reports and the events a tuner hears.

A *segment* advances one agent, from a checkpoint or from nothing, under one config, by a number of episodes.
It is the only primitive: every tuner asks for segments, every executor runs them, the store remembers them and
every analysis reads them. All types here are frozen, hold plain values, and turn into JSON and back without loss.

Episodes are counted per agent along its lineage: episode 0 is the uniformly random one, episodes 1, 2, ... are
driven by the model. ``start`` and ``stop`` of a segment count model-driven episodes, so a segment from nothing
(``sources is None``) with ``stop=5`` runs episodes 0..5, and its continuation to 10 runs episodes 6..10.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NewType, TypeAlias, get_args

Value: TypeAlias = float | int | str | bool
Config: TypeAlias = Mapping[str, Value]
"""One value per hyperparameter, by its name."""

SegmentId = NewType("SegmentId", str)
"""``"trial.index"``: the index-th segment of that trial. It also names the checkpoint at the segment's end."""

CheckpointId = NewType("CheckpointId", str)
"""SHA-256 of a checkpoint file, in hexadecimal."""

MAX_LANES = 64
"""So many agents may share a program."""

Status = Literal["done", "diverged", "failed"]

FailureKind = Literal[
    "environment_error",  # it raised, ended its process, or returned what is no step
    "unstable_physics",  # the simulator's state broke, or what is observed and paid is not finite
    "non_finite_training",  # weights are no numbers any more
    "diverged_model",  # weights are numbers, but what they predict is none
    "out_of_memory",
    "timeout",
    "worker_lost",
    "corrupt_checkpoint",
    "unusable_config",  # no agent can be made from it
]
"""Why a work item did not end well."""
FAILURE_KINDS: tuple[FailureKind, ...] = get_args(FailureKind)

SCORE_WINDOW_EPISODES = 3
"""A score is the mean return of the last min(3, available) model-driven episodes (Zhang et al. 2021, released code)."""


def in_words(kind: FailureKind | None) -> str:
    """``worker lost``, ``non-finite training``; for None, which older studies have, that it is not known."""
    return "kind not recorded" if kind is None else kind.replace("non_", "non-").replace("_", " ")


def segment_id(trial: int, index: int) -> SegmentId:
    """The id of the index-th segment (from 0) of a trial."""
    return SegmentId(f"{trial}.{index}")


def trial_of(segment: SegmentId) -> int:
    """The trial of the segment with that id."""
    return int(segment.partition(".")[0])


@dataclass(frozen=True, slots=True)
class Sources:
    """The segments whose final checkpoints the four parts of an agent's state come from.

    Usually all the same. The lineage follows ``weights``; reference counts follow all four.
    """

    weights: SegmentId
    optimizer: SegmentId
    normaliser: SegmentId
    replay: SegmentId

    @staticmethod
    def whole(segment: SegmentId) -> "Sources":
        """Everything from one checkpoint."""
        return Sources(segment, segment, segment, segment)


@dataclass(frozen=True, slots=True)
class ShrinkPerturb:
    """Before a segment begins: weights <- ``shrink`` weights + ``perturb`` weights of a new agent (Ash & Adams 2020).

    The optimizer begins anew; normaliser and replay stay. (0, 1) are new weights.
    """

    shrink: float
    perturb: float

    def __post_init__(self) -> None:
        for name in ("shrink", "perturb"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Segment:
    """Advance one agent under ``config`` from ``start`` to ``stop`` model-driven episodes.

    ``origin`` says in one word why a tuner asked for it: ``"new"`` (from nothing), ``"continue"``, ``"copy"``
    (another trial's checkpoint), ``"backtrack"``, ``"restart"`` (weights were shrunk) or ``"rerun"``.
    ``shrink_perturb``: what is done to the weights that it starts from; None: nothing.
    """

    trial: int
    index: int
    config: Config
    start: int
    stop: int
    sources: Sources | None = None
    origin: str = "new"
    shrink_perturb: ShrinkPerturb | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"segment {self.id}: needs 0 <= start < stop, got {self.start} and {self.stop}")
        if (self.sources is None) != (self.start == 0):
            raise ValueError(f"segment {self.id}: starts at {self.start} with sources {self.sources}")
        if self.shrink_perturb is not None and self.sources is None:
            raise ValueError(f"segment {self.id}: begins from nothing, so there are no weights to shrink")

    @property
    def id(self) -> SegmentId:
        return segment_id(self.trial, self.index)

    @property
    def parent(self) -> SegmentId | None:
        """The previous segment of the lineage: where the weights come from."""
        return None if self.sources is None else self.sources.weights

    @property
    def first_episode(self) -> int:
        """Index of the first episode that runs; 0 is the random one."""
        return 0 if self.sources is None else self.start + 1

    @property
    def num_episodes(self) -> int:
        """Episodes that run, the random one included."""
        return self.stop - self.first_episode + 1


@dataclass(frozen=True, slots=True)
class Episode:
    """One finished real episode of one agent.

    ``metrics`` holds model and planner diagnostics of the episode and of the fit after it, ``warnings`` the
    simulator's warning counts and other physics alarms, ``seconds`` where the time went (shares of a cohort's).
    """

    index: int
    return_: float
    length: int
    is_random: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    warnings: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def env_steps(self) -> int:
        """Steps of the real environment: the episode's length."""
        return self.length


@dataclass(frozen=True, slots=True)
class Report:
    """How a segment ended. ``checkpoint`` is None exactly when ``status`` is not ``"done"``.

    ``kind`` is None if it is done, or if it was recorded before kinds were told apart. ``broken`` is the episode in
    which it failed or diverged, as far as it came: not learned from and never scored, but its env steps were spent and
    its warnings say why.
    """

    segment: SegmentId
    status: Status
    episodes: tuple[Episode, ...]
    checkpoint: CheckpointId | None
    wall_s: float = 0.0
    reason: str = ""
    broken: Episode | None = None
    kind: FailureKind | None = None

    def __post_init__(self) -> None:
        if (self.checkpoint is None) == (self.status == "done"):
            raise ValueError(f"report of {self.segment}: status {self.status} with checkpoint {self.checkpoint}")
        if self.kind is not None and self.status == "done":
            raise ValueError(f"report of {self.segment}: done, with failure {self.kind}")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A content-addressed file in the checkpoint folder: SHA-256 and size."""

    digest: CheckpointId
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FileSizes:
    """Bytes of an agent's files: a ``checkpoint`` that lists no episodes, and what is kept of one full ``episode``."""

    checkpoint: int
    episode: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Play ``num_episodes`` with a checkpoint: no learning, no buffer, a seed family of its own."""

    segment: SegmentId
    seed: int
    num_episodes: int


@dataclass(frozen=True, slots=True)
class Retry:
    """An attempt at a segment, or at an ``evaluation`` of it, that ended badly and was made again.

    ``broken`` as in ``Report``.
    """

    segment: SegmentId
    evaluation: Evaluation | None
    kind: FailureKind
    reason: str
    wall_s: float
    broken: Episode | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """The study has committed this segment and is about to run it."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class Reported:
    """A segment ended, well or badly."""

    report: Report


@dataclass(frozen=True, slots=True)
class Voided:
    """An issued segment will never report: it was taken back."""

    segment: SegmentId


Event: TypeAlias = Issued | Reported | Voided


def score(returns: Sequence[float]) -> float:
    """Mean of the last min(3, available) returns of model-driven episodes; -inf if none or any is not finite."""
    last = returns[-SCORE_WINDOW_EPISODES:]
    return sum(last) / len(last) if last and all(map(math.isfinite, last)) else -math.inf


def event_to_json(event: Event) -> dict[str, Any]:
    """A JSON-ready dict; ``event_from_json`` is its inverse."""
    match event:
        case Issued(segment):
            return {"issued": dataclasses.asdict(segment)}
        case Reported(report):
            return {"reported": dataclasses.asdict(report)}
        case Voided(segment):
            return {"voided": segment}


def event_from_json(data: Mapping[str, Any]) -> Event:
    """The event that ``event_to_json`` turned into ``data``. Raises ValueError if it is none."""
    match data:
        case {"issued": fields}:
            return Issued(segment_from_json(fields))
        case {"reported": fields}:
            return Reported(report_from_json(fields))
        case {"voided": segment}:
            return Voided(SegmentId(segment))
    raise ValueError(f"not an event: keys {sorted(data)}")


def segment_from_json(fields: Mapping[str, Any]) -> Segment:
    """The segment whose ``dataclasses.asdict`` is ``fields``; older logs lack ``shrink_perturb``."""
    sources, change = fields["sources"], fields.get("shrink_perturb")
    return Segment(
        **{
            **fields,
            "sources": None if sources is None else Sources(**sources),
            "shrink_perturb": None if change is None else ShrinkPerturb(**change),
        }
    )


def report_from_json(fields: Mapping[str, Any]) -> Report:
    """The report whose ``dataclasses.asdict`` is ``fields``."""
    broken = fields.get("broken")
    return Report(
        **{
            **fields,
            "episodes": tuple(Episode(**episode) for episode in fields["episodes"]),
            "broken": None if broken is None else Episode(**broken),
        }
    )
