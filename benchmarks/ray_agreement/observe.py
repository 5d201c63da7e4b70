"""What Ray Tune's PopulationBasedTraining and HyperBandScheduler decide on synthetic scores: written as JSON.

Runs in Ray's own environment and imports nothing of Cartwheel: ``__main__.py`` starts it.
"""

import json
import logging
import math
import os
import random
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ray import tune
from ray.tune.schedulers import HyperBandScheduler, PopulationBasedTraining, PopulationBasedTrainingReplay, pbt

from benchmarks.ray_agreement.stand_ins import StandInController, StandInTrial

NUM_EXPLORED = 20_000
NUM_COPIES = 3000
POPULATIONS = range(2, 41)
GENERATIONS = 12
NUM_POLICY_RUNS = 20
FACTORS = (1.2, 0.8)


def scheduler(**settings: Any) -> PopulationBasedTraining:
    """With Ray's defaults but for the clock and where it may log."""
    chosen = {"hyperparam_mutations": {"x": tune.uniform(0.0, 1.0)}, "perturbation_interval": 1, "log_config": False}
    return PopulationBasedTraining(time_attr="training_iteration", metric="score", mode="max", **{**chosen, **settings})


def quantiles(scores: list[float], fraction: float = 0.25) -> dict[str, Any]:
    """Who is in the lower and who in the upper quantile, by number."""
    made = scheduler(quantile_fraction=fraction)
    trials = [StandInTrial(i, {"x": 0.5}) for i in range(len(scores))]
    StandInController(made, trials)
    for trial, score in zip(trials, scores, strict=True):
        made._trial_state[trial].last_score = score
    lower, upper = made._quantiles()
    return {
        "scores": scores,
        "fraction": fraction,
        "lower": sorted(trial.number for trial in lower),
        "upper": sorted(trial.number for trial in upper),
    }


def all_quantiles() -> dict[str, Any]:
    rng = random.Random(0)

    def shuffled(size: int) -> list[float]:
        return [float(x) for x in rng.sample(range(size), size)]

    distinct = [quantiles(shuffled(n), f) for n in POPULATIONS for f in (0.1, 0.2, 0.25, 0.5) for _ in range(3)]
    tied = [quantiles([float(rng.randrange(3)) for _ in range(n)]) for n in (4, 8, 8, 8, 12, 16)]
    tied.append(quantiles([1.0] * 8))
    worst = [quantiles([-math.inf, *shuffled(7)]), quantiles([3.0, -math.inf, -math.inf, 1.0, 2.0, 0.0, 5.0, 4.0])]
    nan = [quantiles([math.nan, *shuffled(7)]), quantiles([math.nan] * 3 + shuffled(5)), quantiles([math.nan] * 4)]
    return {"distinct": distinct, "tied": tied, "worst": worst, "nan": nan}


class Steered:
    """In the place of the module ``random``: never resamples, and takes the first or the last of what it can choose."""

    def __init__(self, index: int) -> None:
        self.index = index

    def random(self) -> float:
        return 1.0

    def choice(self, of: Any) -> Any:
        return of[self.index]


def perturbed(value: Any, distribution: Any, index: int) -> Any:
    """The value after exploring, with the first (0) or the second (-1) of Ray's choices."""
    pbt.random = Steered(index)
    try:
        return pbt._explore({"x": value}, {"x": distribution}, 0.25, FACTORS, None)[0]["x"]
    except TypeError as error:
        return f"TypeError: {error}"
    finally:
        pbt.random = random


def perturbations() -> dict[str, Any]:
    """[value, up, down] of many; in a list of values Ray's first choice is down."""
    anywhere = tune.uniform(0.0, 1.0)
    floats = [10 ** (k / 10 - 4) for k in range(61)]
    listed = [16, 24, 32, 64, 96]
    return {
        "float": [[x, perturbed(x, anywhere, 0), perturbed(x, anywhere, -1)] for x in floats],
        "int": [
            [n, perturbed(n, tune.randint(1, 700), 0), perturbed(n, tune.randint(1, 700), -1)] for n in range(1, 700)
        ],
        "listed": [[n, perturbed(n, listed, -1), perturbed(n, listed, 0)] for n in listed],
        "choice": [
            [s, perturbed(s, tune.choice(["a", "b", "c"]), 0), perturbed(s, tune.choice(["a", "b", "c"]), -1)]
            for s in "abc"
        ],
    }


def frequencies() -> dict[str, Any]:
    """How often each of three parameters was drawn anew, went up and went down; and all three anew at once."""
    random.seed(1)
    np.random.seed(1)
    mutations = {name: tune.loguniform(1e-5, 1e-1) for name in "abc"}
    config = dict.fromkeys("abc", 1e-3)
    operations = [pbt._explore(config, mutations, 0.25, FACTORS, None) for _ in range(NUM_EXPLORED)]
    counts = {name: Counter(done[name] for _, done in operations) for name in "abc"}
    together = sum(all(done[name] == "resample" for name in "abc") for _, done in operations)
    drawn = sorted(new[name] for new, done in operations for name in "abc" if done[name] == "resample")
    ranks = [math.log10(x) / 4 + 1.25 for x in drawn]
    return {
        "num": NUM_EXPLORED,
        "redrawn": [counts[name]["resample"] for name in "abc"],
        "up": [counts[name]["* 1.2"] for name in "abc"],
        "down": [counts[name]["* 0.8"] for name in "abc"],
        "all_redrawn": together,
        "deciles": np.histogram(ranks, bins=10, range=(0.0, 1.0))[0].tolist(),
    }


def donors() -> dict[str, Any]:
    """Of 12 members that score their numbers, how often the worst one copied each of the others."""
    random.seed(2)
    made = scheduler()
    trials = [StandInTrial(i, {"x": 0.5}) for i in range(12)]
    controller = StandInController(made, trials)
    copied: list[int] = []
    made._exploit = lambda controller, trial, source: copied.append(source.number)
    for trial in trials:
        controller.report(trial, 1, float(trial.number))
    lower, upper = made._quantiles()
    copied.clear()
    for _ in range(NUM_COPIES):
        made._checkpoint_or_exploit(trials[0], controller, upper, lower)
    return {"num": NUM_COPIES, "copied": sorted(Counter(copied).items())}


def generations(num_members: int, seed: int) -> dict[str, Any]:
    """A whole synchronous run on a table of scores: who copied whom in every generation, and from what to what."""
    random.seed(seed)
    np.random.seed(seed)
    table = np.random.default_rng(seed).permutation(GENERATIONS * num_members).reshape(GENERATIONS, num_members)
    with tempfile.TemporaryDirectory() as folder:
        made = scheduler(synch=True, log_config=True, resample_probability=0.0, perturbation_interval=2)
        trials = [StandInTrial(i, {"x": 0.5 + 0.01 * i}, folder) for i in range(num_members)]
        controller = StandInController(made, trials)
        log, copies, seen = Path(folder) / "pbt_global.txt", [], 0
        for generation in range(GENERATIONS):
            for iteration in (2 * generation + 1, 2 * generation + 2):
                for trial in trials:
                    controller.report(trial, iteration, float(table[generation][trial.number]))
            rows = [json.loads(row) for row in log.read_text().splitlines()]
            copies.append([[_number(r[0]), _number(r[1]), r[4]["x"], r[5]["x"]] for r in rows[seen:]])
            seen = len(rows)
    return {"scores": table.tolist(), "copies": copies}


def latecomer(seed: int) -> dict[str, Any]:
    """Asynchronously: seven members have done five intervals and got better; one has done its first, and best.

    ``scores`` [member][interval], and whether the latecomer copied.
    """
    random.seed(seed)
    rng = random.Random(seed)
    scores = [[2.0], *([k + rng.random() for k in range(5)] for _ in range(7))]
    made = scheduler()
    trials = [StandInTrial(i, {"x": 0.5}) for i in range(8)]
    controller = StandInController(made, trials)
    for k in range(5):
        for i in range(1, 8):
            controller.report(trials[i], k + 1, scores[i][k])
    controller.report(trials[0], 1, scores[0][0])
    return {"scores": scores, "copied": "perturbed" in trials[0].experiment_tag}


def policies(seed: int) -> list[dict[str, Any]]:
    """Policy files of an asynchronous run, and what Ray's own replay trains under each of them, per iteration."""
    random.seed(seed)
    np.random.seed(seed)
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        mutations = {"lr": tune.loguniform(1e-5, 1e-2), "epochs": tune.randint(1, 21)}
        made = scheduler(hyperparam_mutations=mutations, perturbation_interval=3, log_config=True)
        first = [{"lr": 10 ** rng.uniform(-5, -2), "epochs": rng.randint(1, 20), "env": "line"} for _ in range(6)]
        trials = [StandInTrial(i, config, folder) for i, config in enumerate(first)]
        controller = StandInController(made, trials)
        for iteration in range(1, 31):
            for trial in rng.sample(trials, len(trials)):
                controller.report(trial, iteration, rng.random())
        return [
            {"text": path.read_text(), "replayed": replayed(path)} for path in sorted(Path(folder).glob("pbt_policy_*"))
        ]


def replayed(path: Path) -> list[list[Any]]:
    """[first iteration, lr, epochs] of what changed in the iterations 1 to 40."""
    replay = PopulationBasedTrainingReplay(str(path))
    trial = StandInTrial(0, {})
    controller = StandInController(replay, [trial])
    used: list[list[Any]] = []
    for iteration in range(1, 41):
        now = [trial.config["lr"], trial.config["epochs"]]
        if not used or used[-1][1:] != now:
            used.append([iteration, *now])
        controller.report(trial, iteration, 0.0)
    return used


def bracket_table(max_t: int, eta: int) -> list[list[list[int]]]:
    """Of every bracket that starts, [trials, iterations] of its rungs, as its own halving makes them."""
    made = HyperBandScheduler("training_iteration", "score", "max", max_t, eta)
    found = []
    for s in range(made._s_max_1):
        if made._get_r0(s) == 0:
            continue
        bracket = made._create_bracket(s)
        rungs = [[bracket._n, bracket._cumul_r]]
        for _ in range(s):
            bracket.successive_halving("score", 1.0)
            rungs.append([bracket._n, bracket._cumul_r])
        found.append(rungs)
    return found


def hyperband_run(max_t: int, eta: int, scores: list[float]) -> list[int]:
    """Trial k always scores scores[k]: the iterations after which each was stopped."""
    made = HyperBandScheduler("training_iteration", "score", "max", max_t, eta)
    trials = [StandInTrial(i, {}) for i in range(len(scores))]
    controller = StandInController(made, trials)
    while (trial := made.choose_trial_to_run(controller)) is not None:
        iteration, decision = trial.last_result.get("training_iteration", 0), made.CONTINUE
        while decision == made.CONTINUE:
            iteration += 1
            decision = controller.report(trial, iteration, scores[trial.number])
    return [trial.last_result["training_iteration"] for trial in trials]


def hyperband_runs() -> list[dict[str, Any]]:
    runs = []
    for max_t, eta in ((9, 3), (27, 3), (81, 3), (16, 2), (64, 4)):
        num = sum(bracket[0][0] for bracket in bracket_table(max_t, eta))
        scores = [float(x) for x in random.Random(max_t).sample(range(num), num)]
        runs.append({"max_t": max_t, "eta": eta, "scores": scores, "stopped": hyperband_run(max_t, eta, scores)})
    return runs


def hyperband_nan() -> list[dict[str, Any]]:
    """Nine trials of the bracket 9@1 3@3 1@9 come after 3@9 and 5@3; one of them returns NaN, at each place in turn."""
    found = []
    for place in range(9):
        scores = [0.0] * 8 + [float((k * 5) % 9) for k in range(9)]
        scores[8 + place] = math.nan
        found.append({"place": place, "stopped": hyperband_run(9, 3, scores)[8:]})
    return found


def real_run(num_members: int, num_generations: int, seed: int) -> dict[str, Any]:
    """A run of Tune itself, with its processes, on a table of scores: who copied whom, as in ``generations``."""
    size = (num_generations, num_members)
    table = np.random.default_rng(seed).permutation(num_generations * num_members).reshape(size)

    class Agent(tune.Trainable):  # type: ignore[misc] # Ray is not where types are checked
        def step(self) -> dict[str, float]:
            # by the trial, not by its config: that one is copied
            return {"score": float(table[(self.iteration // 2) % num_generations][int(self.trial_id.split("_")[-1])])}

        def save_checkpoint(self, folder: str) -> None:
            (Path(folder) / "state.json").write_text("{}")

        def load_checkpoint(self, checkpoint: Any) -> None:
            pass

    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(Agent, {"cpu": 0.25}),
            param_space={"x": tune.grid_search([0.5 + 0.01 * i for i in range(num_members)])},
            tune_config=tune.TuneConfig(
                scheduler=scheduler(synch=True, log_config=True, perturbation_interval=2, resample_probability=0.0)
            ),
            run_config=tune.RunConfig(storage_path=folder, stop={"training_iteration": 2 * num_generations}, verbose=0),
        )
        tuner.fit()
        rows = [
            json.loads(row) for path in Path(folder).rglob("pbt_global.txt") for row in path.read_text().splitlines()
        ]
    copies: list[list[Any]] = [[] for _ in range(num_generations)]
    for copier, copied, iteration, source_iteration, old, new in rows:
        # whoever reports last is logged with its iteration before
        copies[(iteration + 1) // 2 - 1].append(
            [_number(copier), _number(copied), old["x"], new["x"], source_iteration]
        )
    return {"scores": table.tolist(), "copies": copies}


def _number(tag: str) -> int:
    return int(tag.split("_")[0])


def main() -> None:
    logging.disable(logging.CRITICAL)
    observed = {
        "versions": {name: version(name) for name in ("ray", "numpy")} | {"python": sys.version.split()[0]},
        "quantiles": all_quantiles(),
        "perturbations": perturbations(),
        "frequencies": frequencies(),
        "donors": donors(),
        "generations": [generations(n, seed) for seed, n in enumerate((4, 5, 8, 12, 16, 21))],
        "latecomers": [latecomer(seed) for seed in range(10)],
        "policies": [policy for seed in range(NUM_POLICY_RUNS) for policy in policies(seed)],
        "brackets": [
            {"max_t": max_t, "eta": eta, "brackets": bracket_table(max_t, eta)}
            for eta in (2, 3, 4)
            for max_t in (*range(1, 301), 729)
        ],
        "hyperband_runs": hyperband_runs(),
        "hyperband_nan": hyperband_nan(),
        "real_run": real_run(num_members=5, num_generations=4, seed=7),
    }
    Path(sys.argv[1]).write_text(json.dumps(observed))


if __name__ == "__main__":
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    main()
