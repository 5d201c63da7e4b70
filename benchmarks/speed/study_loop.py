"""The study loop alone: a synthetic agent that costs nothing, so what is left is the tuner, the study and the store.

    PYTHONPATH=tests python -m benchmarks.speed.study_loop [--repeats 5] [--json]

Decisions are segments and evaluations; rows are those of the tables of ``study.db``. The overhead is beside an episode
of the demo's size, which takes about a second of one core.
"""

import contextlib
import functools
import sqlite3
import tempfile
from pathlib import Path

from benchmarks.speed.timing import arguments, in_turns, tell
from cartwheel.spec import parse_spec
from cartwheel.tuning import Running, tune
from synthetic_executor import SyntheticBackend  # type: ignore[import-not-found] # the tests' own, by PYTHONPATH

STUDY = {"env_id": "cartpole-swingup", "seed": 1, "validation": {"num_episodes": 1}}
TUNERS = {
    "random-search": {"name": "random-search", "num_trials": 10},
    "hyperband": {"name": "hyperband", "eta": 3},
    "pbt": {"name": "pbt", "population": 8, "interval_episodes": 1},
    "pbt-bt": {"name": "pbt-bt", "population": 8, "interval_episodes": 1},
}
NUM_EPISODES = 9
EPISODE_S = 1.0
"""Of the demo: 100 env steps and a fit, on one core."""


def study(tuner: str, counts: dict[str, tuple[int, int]]) -> None:
    """A whole study, in a folder that goes away."""
    spec = parse_spec({**STUDY, "num_episodes": NUM_EPISODES, "tuner": TUNERS[tuner]}, {}, "the benchmark")
    with tempfile.TemporaryDirectory() as folder:
        tune(spec, Path(folder) / "run", Running(backend=SyntheticBackend()))
        with contextlib.closing(sqlite3.connect(Path(folder) / "run" / "study.db")) as database:
            tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
            sizes = {table: database.execute(f'select count(*) from "{table}"').fetchone()[0] for table in tables}
        counts[tuner] = sizes["episodes"], sum(sizes.values())


def main() -> None:
    given = arguments(__doc__, repeats=5)
    counts: dict[str, tuple[int, int]] = {}
    seconds = in_turns({name: functools.partial(study, name, counts) for name in TUNERS}, given.repeats)
    rows = []
    for name, each in seconds.items():
        (num_episodes, num_rows), median = counts[name], sorted(each)[given.repeats // 2]
        rows.append(
            {
                "tuner": name,
                "episodes": num_episodes,
                "rows": num_rows,
                "s": median,
                "episodes per s": num_episodes / median,
                "rows per s": num_rows / median,
                "ms per episode": 1e3 * median / num_episodes,
                "share of an episode of 1 s": f"{median / num_episodes / EPISODE_S:.1%}",
            }
        )
    tell(rows, given, {"episodes of a trial": NUM_EPISODES})


if __name__ == "__main__":
    main()
