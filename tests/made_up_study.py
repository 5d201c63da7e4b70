"""A made-up study with everything in it that reports must survive: copies, a failed segment, NaN returns.

Eight members, twelve model-driven episodes in segments of two. Returns follow a saturating curve that depends on the
config, so the better members are copied by the worse ones after every segment, as PBT does.
"""

import dataclasses
import math

import numpy as np

from cartwheel.analysis.comparison import Arm, Ceiling, Run
from cartwheel.analysis.tables import EvaluationResult, StudyTables, ranking, segment_score
from cartwheel.analysis.timing import Timing
from cartwheel.records import CheckpointId, Config, Episode, Report, Segment, SegmentId, Sources, score
from cartwheel.spaces.named import SMALL

EPISODE_LENGTH = 200
SEGMENT_EPISODES = 2

DEFAULTS: Config = {**SMALL.default, "learning_rate": 1e-3}
"""What its first member has; a made-up study does not follow what agents have by default."""


def explore(config: Config, rng: np.random.Generator) -> Config:
    factors = rng.choice([0.8, 1.2], size=len(SMALL))
    return SMALL.decode(np.minimum(1.0, SMALL.encode(config) * factors))


def per_env_step(config: Config) -> float:
    return float(config["num_iterations"]) * float(config["num_samples"]) * 5 * float(config["plan_horizon"])


def made_up_study(num_members: int = 8, num_episodes: int = 12, *, with_trouble: bool = True) -> StudyTables:
    """The study; ``with_trouble`` adds one failed segment, one that diverged to NaN, and one unfinished."""
    rng = np.random.default_rng(12)
    segments: dict[SegmentId, Segment] = {}
    episodes: dict[SegmentId, tuple[Episode, ...]] = {}
    reports: dict[SegmentId, Report] = {}
    skill = dict.fromkeys(range(num_members), 0.0)
    history: dict[int, list[float]] = {trial: [] for trial in range(num_members)}
    last: dict[int, SegmentId] = {}
    configs = {trial: SMALL.sample(rng) if trial else DEFAULTS for trial in range(num_members)}
    for generation, start in enumerate(range(0, num_episodes, SEGMENT_EPISODES)):
        stop = min(start + SEGMENT_EPISODES, num_episodes)
        parents = {trial: (trial, configs[trial], "continue") for trial in range(num_members)}
        if generation:
            order = sorted(last, key=lambda trial: -score(history[trial]))
            keep, best = math.ceil((num_members - 1) * 0.75), order[: max(1, num_members // 4)]
            for loser in order[keep:]:
                winner = int(rng.choice(best))
                parents[loser] = (winner, explore(configs[winner], rng), "copy")
        before = {trial: (last.get(trial), skill[trial], list(history[trial])) for trial in range(num_members)}
        for trial, (source, config, origin) in parents.items():
            parent, skill[trial], history[trial] = before[source][0], before[source][1], list(before[source][2])
            configs[trial] = config
            segment = Segment(
                trial, generation, config, start, stop,
                Sources.whole(parent) if parent else None, origin if generation else "new",
            )  # fmt: skip
            ran = tuple(_episode(segment, index, skill, rng) for index in range(segment.first_episode, stop + 1))
            status = "done"
            if with_trouble and (trial, generation) == (5, 3):
                status, ran = "failed", ran[:1]
            if with_trouble and (trial, generation) == (2, 2):
                status, ran = "diverged", (*ran[:-1], dataclasses.replace(ran[-1], return_=math.nan))
            segments[segment.id] = segment
            episodes[segment.id] = ran
            if with_trouble and (trial, stop) == (7, num_episodes):
                continue
            reason = {"failed": "MuJoCo: Nan, Inf or huge value in QACC at DOF 0", "diverged": "return is not finite"}
            checkpoint = CheckpointId("0" * 64) if status == "done" else None
            kind = {"failed": "unstable_physics", "diverged": "non_finite_training"}.get(status)
            how = {"reason": reason.get(status, ""), "kind": kind}
            reports[segment.id] = Report(segment.id, status, ran, checkpoint, 3.2, **how)
            history[trial] += [e.return_ for e in ran if not e.is_random]
            if status == "done":
                last[trial] = segment.id
            else:
                history[trial] = [-math.inf]
                last.setdefault(trial, segment.id)
    tables = StudyTables(
        meta={"name": "cartpole-demo", "env_id": "cartpole-swingup", "tuner": "pbt", "seed": 1},
        settings={
            "study": {"env_id": "cartpole-swingup", "seed": 1},
            "tuner": {"name": "pbt", "population": num_members},
        },
        environment={"cartwheel": "0.1.0", "jax": "0.10.2", "python": "3.11.2", "platform": "Linux x86_64, 2 cores"},
        space=SMALL,
        segments=segments,
        episodes=episodes,
        reports=reports,
        timing=Timing(300.0, 0.8, 41.0, {"plan": 180.0, "fit": 62.0, "env": 4.0}, 0.5, 600.0, 80.0),
    )
    return dataclasses.replace(tables, evaluations=_validations(tables, rng))


def made_up_arms(shift: float = 45.0, num_seeds: int = 5) -> tuple[Arm, ...]:
    """Default, Random Search and schedule; the schedule beats the default by ``shift`` on average, give or take."""
    rng = np.random.default_rng(5)
    base = 100 + 20 * rng.normal(size=num_seeds)
    steps = 12 * EPISODE_LENGTH * 8
    schedule = tuple({**DEFAULTS, "plan_horizon": 25 + episode} for episode in range(12))

    def runs(offset: float) -> tuple[Run, ...]:
        noise = 12 * rng.normal(size=(num_seeds, 1)) + 6 * rng.normal(size=(num_seeds, 10))
        return tuple(Run(seed, tuple(map(float, base[seed] + offset + noise[seed]))) for seed in range(num_seeds))

    return (
        Arm("default", "the default config", (DEFAULTS,) * 12, runs(0.0)),
        Arm("random", "the best config of Random Search", (DEFAULTS,) * 12, runs(shift * 0.8), steps),
        Arm("schedule", "the schedule", schedule, runs(shift), steps),
    )


CEILING = Ceiling(176.4, 10)


def _validations(tables: StudyTables, rng: np.random.Generator) -> tuple[EvaluationResult, ...]:
    return tuple(
        EvaluationResult(segment, seed, (segment_score(tables, segment) + 5 * rng.normal(),), EPISODE_LENGTH)
        for segment in ranking(tables)[:3]
        for seed in range(3)
    )


def _episode(segment: Segment, index: int, skill: dict[int, float], rng: np.random.Generator) -> Episode:
    """Skill grows towards what the config allows: best near learning rate 2e-3 and a horizon of 30."""
    if index == 0:
        return Episode(0, 4 + 2 * rng.random(), EPISODE_LENGTH, is_random=True)
    distance = (
        abs(math.log10(float(segment.config["learning_rate"]) / 2e-3))
        + abs(float(segment.config["plan_horizon"]) - 30) / 20
    )
    skill[segment.trial] += 0.35 * (170 * math.exp(-0.5 * distance) - skill[segment.trial])
    return Episode(
        index, skill[segment.trial] + 6 * rng.normal(), EPISODE_LENGTH, metrics=_diagnostics(segment.trial, index)
    )


def _diagnostics(trial: int, index: int) -> dict[str, float]:
    """A model that learns, becomes too sure of itself, and is optimistic at first."""
    miss = (1.0 + 0.1 * trial) / (1.0 + 0.3 * index)
    return {
        "model_loss": 2.0 * miss - 3.0,
        "train_nll": 4.0 * miss - 6.0,
        "unseen_nll": 6.0 * miss - 5.0,
        "coverage_50": 0.5 - 0.02 * index,
        "coverage_90": 0.9 - 0.02 * index,
        "disagreement": 0.2 * miss,
        "error_1_ahead": 0.1 * miss,
        "error_5_ahead": 0.4 * miss,
        "error_25_ahead": miss,
        "plan_return": 12.0,
        "plan_return_error": 8.0 * miss - 1.0,
    }
