"""From rows to the page: returns side by side, and ratios of seconds between runs that were made next to each other."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from benchmarks.peers.cases import CASES

Row: TypeAlias = Mapping[str, Any]

THEIRS, OURS = "mbrl-lib", "cartwheel"
SIDES = (THEIRS, OURS)

DIFFERENCES = """\
Both have the same networks, inputs, CEM (samples of a normal truncated at two deviations, the mean of the elites is
executed and shifted), particles that keep one network for a whole plan, number of epochs and batches, and fit after
every episode. What differs:

- Particles: mbrl-lib draws the network of each at random; ours are spread evenly within every plan.
- Noise: mbrl-lib draws it anew for every plan; ours is the same for all plans of an iteration.
- Weight decay: mbrl-lib's acts on all parameters; ours on weights, not on biases.
- Rewards: in mbrl-lib a step of the model that lets the pole fall pays 0, ours 1; afterwards neither pays.
- Precision: mbrl-lib normalises inputs in double precision; ours computes in single.
- The loop around mbrl-lib's parts is ours: its own fits every so many env steps instead of after episodes.
- Ours writes a checkpoint after every episode; that is in the CPU seconds, not in those of planning and fitting.
- Ours compiles its programs before the first episode, or finds them in its cache: in the column *set-up*.
"""


def page(rows: Sequence[Row], about: Iterable[str]) -> str:
    """Markdown."""
    names = [name for name in CASES if any(row["case"] == name for row in rows)]
    parts = ["# Beside mbrl-lib", "Made by `python -m benchmarks.peers`. " + " ".join(about), DIFFERENCES.rstrip()]
    for name in names:
        chosen = [row for row in rows if row["case"] == name]
        parts += [f"## {name}", _told(name), _returns(chosen) if CASES[name].num_episodes > 1 else "", _seconds(chosen)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _told(name: str) -> str:
    case, sizes = CASES[name], CASES[name].sizes
    return (
        f"`{case.task}`, episodes of at most {case.episode_length} steps. {sizes.num_networks} networks of "
        f"{sizes.num_layers} x {sizes.width},\n{sizes.num_particles} particles, horizon {sizes.plan_horizon}, "
        f"{sizes.num_iterations} iterations of {sizes.num_samples} plans, {sizes.num_epochs} epochs of batches of "
        f"{sizes.batch_size}."
    )


def _returns(rows: Sequence[Row]) -> str:
    """Mean over seeds, lowest and highest, by episode."""
    lines = ["| episode | " + " | ".join(SIDES) + " |", "|--:|--:|--:|"]
    for episode in sorted({row["episode"] for row in rows}):
        cells = [[r["return"] for r in rows if r["episode"] == episode and r["side"] == side] for side in SIDES]
        label = f"{episode} (random)" if episode == 0 else str(episode)
        lines.append(f"| {label} | " + " | ".join(map(_spread, cells)) + " |")
    return "Returns: mean (lowest to highest) over the seeds.\n\n" + "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    return f"{statistics.fmean(values):.4g} ({min(values):.4g} to {max(values):.4g})"


COSTS: Mapping[str, Callable[[Sequence[Row]], float]] = {
    "planning, ms per env step": lambda rows: 1e3 * _sum(rows, "plan_s") / _sum(rows, "env_steps"),
    "fitting, ms per update": lambda rows: 1e3 * _sum(rows, "fit_s") / _sum(rows, "num_updates"),
    "environment, ms per env step": lambda rows: 1e3 * _sum(rows, "env_s") / _sum(rows, "env_steps"),
    "all, CPU ms per env step": lambda rows: 1e3 * _sum(rows, "cpu_s") / _sum(rows, "env_steps"),
    "set-up, s": lambda rows: float(rows[0]["setup_s"]),
}
"""Of the episodes that the model drove in one run."""


def _seconds(rows: Sequence[Row]) -> str:
    seeds = sorted({row["seed"] for row in rows})
    lines = [f"| median over runs | {THEIRS} | {OURS} | ratio (lowest to highest) |", "|---|--:|--:|--:|"]
    for title, cost in COSTS.items():
        pairs = [tuple(cost(_run(rows, side, seed)) for side in SIDES) for seed in seeds]
        ratios = [theirs / ours for theirs, ours in pairs]
        theirs, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = f"{statistics.median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g})"
        lines.append(f"| {title} | {theirs:.3g} | {ours:.3g} | {ratio} |")
    return "\n".join(lines)


def _run(rows: Sequence[Row], side: str, seed: int) -> list[Row]:
    return [row for row in rows if (row["side"], row["seed"]) == (side, seed) and row["episode"] > 0]


def _sum(rows: Sequence[Row], name: str) -> float:
    return float(sum(row[name] for row in rows))
