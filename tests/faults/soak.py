"""A study of very many segments in one process, which says from time to time what it holds of the machine.

``python -m faults.soak RUN_DIR NUM_SEGMENTS`` prints one JSON object per sample. All checkpoints have the same
contents, so they are one file, written again and again: the loop, the store and the tuner are measured, not the disk.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np

from cartwheel import tuning
from cartwheel.executors.work import EpisodeDone, Outcome, Work
from cartwheel.records import Episode, Report, Segment
from cartwheel.report.plain import QuietView
from cartwheel.seeds import numpy_rng
from cartwheel.tuners.rehearsal import Amount
from cartwheel.tuning import Running, tune
from synthetic_executor import LENGTH, Lane, SyntheticBackend, SyntheticExecutor, small_spec

POPULATION = 20
NUM_SAMPLES = 100


class Sampler(QuietView):
    """An observer that prints a sample whenever a hundredth of the segments has ended."""

    def __init__(self, num_segments: int) -> None:
        self._every, self._num = num_segments // NUM_SAMPLES, 0

    def on_report(self, report: Report) -> None:  # noqa: ARG002
        self._num += 1
        if self._num % self._every == 0:
            print(json.dumps({"segments": self._num, **held()}), flush=True)


def held() -> dict[str, float]:
    """Memory in use, open files, processor time so far."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    num_files = len(os.listdir("/proc/self/fd"))
    return {"bytes": pages * resource.getpagesize(), "files": num_files, "cpu_s": time.process_time()}


class Soaking(SyntheticExecutor):
    """Draws a return for every episode and keeps one checkpoint for all."""

    def submit(self, work: Work) -> None:
        self.queue.append(work)

    def _learn(self, lane: Lane, segment: Segment) -> list[Outcome]:
        index = lane.next_episode
        stored = self.checkpoints.write({"state": np.zeros(1)}, {"shards": []})
        return_ = float(numpy_rng(*lane.work.seed, index).standard_normal())
        episode = Episode(index, return_, LENGTH, is_random=index == 0)
        done = EpisodeDone(segment, episode, stored.digest, (stored,))
        return [done, *self._ended(lane, index == segment.stop)]


def main(run_dir: Path, num_segments: int) -> None:
    """Tune to the end."""
    spec = small_spec(
        num_episodes=num_segments // POPULATION,
        tuner={"name": "pbt", "population": POPULATION, "first_interval_episodes": 1, "interval_episodes": 1},
        engine={"lanes": POPULATION},
        validation={"num_episodes": 0},
    )
    # to rehearse so long a study would leave memory behind, in which what the study takes would not show
    tuning.expected_amount = lambda *_: Amount(num_segments)
    backend = SyntheticBackend()
    backend.executor_class = Soaking
    tune(spec, run_dir, Running((Sampler(num_segments),), backend=backend))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
