"""Made-up results of studies: arms whose agents and reruns are as good as they are told to be."""

from collections.abc import Sequence

import numpy as np

from cartwheel.analysis.evidence import ArmResult, StudyResult
from cartwheel.analysis.incumbents import IncumbentCurve, Spent
from cartwheel.seeds import numpy_rng


def curve(final: float, env_steps: int = 1_000) -> IncumbentCurve:
    """Four segments of equal length; the score rises by ever less."""
    parts = range(1, 5)
    spent = tuple(Spent(env_steps * k // 4, k * env_steps / 4e3, k * env_steps / 2e3) for k in parts)
    return IncumbentCurve(spent, tuple(final * (1 - 0.5**k) for k in parts))


def studies(
    name: str,
    seeds: Sequence[int],
    *,
    task: str = "line",
    base: float = 100.0,
    shift: float = 0.0,
    rerun_shift: float | None = None,
    noise: float = 2.0,
    num_tests: int = 10,
    env_steps: int = 1_000,
) -> list[StudyResult]:
    """One per tuner seed; test seeds have an effect that all arms of the task share."""
    of_test = numpy_rng("made up", task).normal(size=num_tests) * 3
    again = shift if rerun_shift is None else rerun_shift
    found = []
    for seed in seeds:
        rng = numpy_rng("made up", task, name, seed)
        own = noise * rng.normal()
        agent, rerun = (base + level + own + of_test + noise * rng.normal(size=num_tests) for level in (shift, again))
        found.append(
            StudyResult(
                task,
                name,
                seed,
                _by_seed(agent),
                _by_seed(rerun),
                env_steps,
                env_steps / 1e3,
                curve(base + shift + own, env_steps),
                0.0,
            )
        )
    return found


def arm(name: str, num_seeds: int = 5, **about: float | str) -> ArmResult:
    """``about`` as in ``studies``."""
    own = studies(name, range(1, num_seeds + 1), **about)  # type: ignore[arg-type]
    return ArmResult(own[0].task, name, tuple(own))


def _by_seed(values: np.ndarray) -> dict[int, float]:
    return dict(enumerate(values.tolist()))
