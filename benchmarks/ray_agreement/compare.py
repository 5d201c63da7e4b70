"""Cartwheel's decisions beside those that ``observe.py`` saw Ray Tune make, on the same scores."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cartwheel.records import CheckpointId, Episode, Issued, Report, Reported, Segment
from cartwheel.schedules.ray_policies import RayPolicy
from cartwheel.schedules.schedule import Schedule
from cartwheel.spaces.space import Float, Int, Ordinal, Parameter, Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.halving.hyperband import brackets
from cartwheel.tuners.populations.exploit import Truncation
from cartwheel.tuners.populations.explore import scale
from cartwheel.tuners.populations.pbt_settings import PbtSettings
from cartwheel.tuners.registry import make_tuner, tuner_settings

Observed = Mapping[str, Any]

RELATIVE_ERROR = 1e-9
"""Our values pass through the unit interval and back."""

MAX_STANDARD_ERRORS = 4.0
"""Between two frequencies that are the same. A false alarm once in 16,000 comparisons."""


@dataclass(frozen=True)
class Row:
    """How many of ``num`` cases came out the same. ``reason`` where not all have to."""

    topic: str
    num_equal: int
    num: int
    reason: str = ""

    @staticmethod
    def of(topic: str, cases: Iterable[bool], reason: str = "") -> "Row":
        found = list(cases)
        return Row(topic, sum(found), len(found), reason)


EVERYWHERE = Space({"x": Float(1e-300, 1e300, log=True, default=1.0, group="model")})
"""No value comes near its ends."""


def compare(observed: Observed) -> list[Row]:
    """Everything, in the order of the table."""
    return [*_population(observed), *_explored(observed), *_hyperband(observed), _policies(observed["policies"])]


def _ray_settings(**settings: Any) -> PbtSettings:
    chosen: PbtSettings = tuner_settings("pbt", {"preset": "ray", **settings})
    return chosen


def _exploiter(fraction: float) -> Truncation:
    return replace(_ray_settings().exploiter, keep_fraction=1 - fraction, donor_fraction=fraction)


def _population(observed: Observed) -> Iterator[Row]:
    quantiles = observed["quantiles"]
    yield Row.of("PBT: who copies (lower quantile), distinct scores", map(_same_lower, quantiles["distinct"]))
    yield Row.of("PBT: who is copied (upper quantile), distinct scores", map(_same_upper, quantiles["distinct"]))
    yield Row.of("PBT: a score of -inf is the worst", map(_same_lower, quantiles["worst"]))
    yield Row.of(
        "PBT: both quantiles, equal scores",
        (_same_lower(case) and _same_upper(case) for case in quantiles["tied"]),
        "Ray lets members copy others of the same score, the older the newer: the order of a stable sort. Ours are "
        "copied only if they are strictly better, and of equals the older one counts as better.",
    )
    yield Row.of(
        "PBT: who copies, scores with NaN",
        map(_same_lower, quantiles["nan"]),
        "Ray leaves members that score NaN out of both quantiles, so they are never replaced. Ours copy first.",
    )
    runs = [*observed["generations"], _but_the_last_generation(observed["real_run"])]
    pairs = [(ours, theirs) for run in runs for ours, theirs in zip(_own_copies(run), run["copies"], strict=True)]
    yield Row.of(
        "PBT: who copies, in synchronous runs, one of them of Tune itself",
        ({c[0] for c in a} == {c[0] for c in b} for a, b in pairs),
    )
    yield Row.of(
        "PBT: Ray's source is one that we could draw", (c[1] in case for run in runs for c, case in _cases(run))
    )
    yield Row.of("PBT: Ray's new value is the source's times 1.2 or 0.8", (_is_scaled(c) for _, b in pairs for c in b))
    yield Row.of("PBT: our new value is the source's times 1.2 or 0.8", (_is_scaled(c) for a, _ in pairs for c in a))
    yield Row.of(
        "PBT: whether a late member copies, asynchronously",
        (_late_one_copies(case) == case["copied"] for case in observed["latecomers"]),
        "Ray compares the newest scores, whatever their ages: who is late has learned less and copies, though it was "
        "the best of its age. `pbt-asynchronous` compares members at equal ages.",
    )
    counts, own = dict(observed["donors"]["copied"]), _own_donors(observed["donors"]["num"])
    num = observed["donors"]["num"]
    yield Row.of("PBT: each of the best is copied equally often", (_is_near(counts[i], own[i], num) for i in own))


def _but_the_last_generation(run: Observed) -> Observed:
    """A run of Tune itself ends with its last results; nobody copies then."""
    return {name: generations[:-1] for name, generations in run.items()}


def _same_lower(case: Observed) -> bool:
    return set(_donors(case)) == set(case["lower"])


def _same_upper(case: Observed) -> bool:
    donors = _donors(case)
    return bool(donors) and all(sorted(of) == case["upper"] for of in donors.values())


def _donors(case: Observed) -> dict[int, list[int]]:
    # a study ranks NaN as -inf
    scores = [-math.inf if math.isnan(score) else score for score in case["scores"]]
    return _exploiter(case["fraction"]).donors(scores)


def _is_scaled(copy: Sequence[Any]) -> bool:
    return any(math.isclose(copy[3], copy[2] * factor, rel_tol=RELATIVE_ERROR) for factor in (1.2, 0.8))


def _cases(run: Observed) -> Iterator[tuple[Sequence[Any], list[int]]]:
    """Every copy of Ray's with those that ours could have drawn."""
    for scores, copies in zip(run["scores"], run["copies"], strict=True):
        donors = _exploiter(0.25).donors(scores)
        for copy in copies:
            yield copy, donors.get(copy[0], [])


def _own_copies(run: Observed) -> list[list[tuple[int, int, float, float]]]:
    """In every generation (who copied, whom, the source's value, the new one)."""
    num_generations, num_members = len(run["scores"]), len(run["scores"][0])
    settings = {"preset": "ray", "population": num_members, "redraw_probability": 0.0}
    # a score looks at three episodes: so it is that of one segment
    settings |= {"first_interval_episodes": 3, "interval_episodes": 3}
    tuner = make_tuner("pbt", settings, EVERYWHERE, 0, 3 * (num_generations + 1))
    before = {segment.id: segment for segment in _generation(tuner, run["scores"][0])}
    copies = []
    for scores in [*run["scores"][1:], [0.0] * num_members]:
        segments = _generation(tuner, scores)
        copied = [(s, before[s.parent]) for s in segments if s.origin == "copy" and s.parent is not None]
        copies.append([(s.trial, of.trial, float(of.config["x"]), float(s.config["x"])) for s, of in copied])
        before = {segment.id: segment for segment in segments}
    return copies


def _generation(tuner: Tuner, scores: Sequence[float]) -> list[Segment]:
    segments = tuner.ask(len(scores))
    for segment in segments:
        tuner.tell(Issued(segment))
    for segment in segments:
        tuner.tell(Reported(_report(segment, scores[segment.trial])))
    return segments


def _late_one_copies(case: Observed) -> bool:
    """Whether our asynchronous PBT lets member 0 copy after its first segment; the others have done theirs before."""
    settings = {"preset": "ray", "population": 8, "first_interval_episodes": 3, "interval_episodes": 3}
    tuner = make_tuner("pbt-asynchronous", settings, EVERYWHERE, 0, 18)
    waiting = {segment.trial: segment for segment in tuner.ask(8)}
    for segment in waiting.values():
        tuner.tell(Issued(segment))
    for trial in [*range(1, 8)] * 5 + [0]:
        segment = waiting.pop(trial)
        tuner.tell(Reported(_report(segment, case["scores"][trial][segment.index])))
        for following in tuner.ask(1):
            tuner.tell(Issued(following))
            waiting[following.trial] = following
    return waiting[0].origin == "copy"


def _report(segment: Segment, score: float) -> Report:
    indices = range(segment.first_episode, segment.stop + 1)
    episodes = tuple(Episode(index, score, 1, is_random=index == 0) for index in indices)
    return Report(segment.id, "done", episodes, CheckpointId(segment.id))


def _own_donors(num: int) -> dict[int, int]:
    """How often the worst of 12 copied each of the best three, in so many studies of one generation."""
    counts = {9: 0, 10: 0, 11: 0}
    settings = {"preset": "ray", "population": 12, "first_interval_episodes": 1, "interval_episodes": 1}
    space = Space({"x": Float(0.0, 1.0, default=0.5, group="model")})
    for seed in range(num):
        tuner = make_tuner("pbt", settings, space, seed, 2)
        first = _generation(tuner, [float(i) for i in range(12)])
        trial_of = {segment.id: segment.trial for segment in first}
        worst = tuner.ask(1)[0]
        if worst.parent is not None:
            counts[trial_of[worst.parent]] += 1
    return counts


def _is_near(count: int, other: int, num: int) -> bool:
    """Whether two counts of ``num`` could well be of the same probability."""
    pooled = (count + other) / (2 * num)
    return abs(count - other) <= MAX_STANDARD_ERRORS * math.sqrt(2 * num * pooled * (1 - pooled))


class _Steered:
    """In the place of a random generator: every sign is the one that is wanted."""

    def __init__(self, sign: float) -> None:
        self.sign = sign

    def choice(self, _: Any, size: int) -> Any:
        return np.full(size, self.sign)


def _explored(observed: Observed) -> Iterator[Row]:
    tables = observed["perturbations"]
    real, whole = Float(1e-9, 1e9, log=True, default=1.0, group="model"), Int(1, 1000, default=1, group="model")
    yield Row.of("PBT: a real value, up and down", _same_moves(tables["float"], real))
    yield Row.of("PBT: a whole number, up and down", _same_moves(tables["int"], whole))
    listed = Ordinal(tuple(row[0] for row in tables["listed"]), default=tables["listed"][0][0], group="model")
    yield Row.of("PBT: a value of a list (ours: an ordinal), up and down", _same_moves(tables["listed"], listed))
    narrow = [row for row in tables["float"] if row[0] <= 1.0]
    unit = Float(1e-4, 1.0, log=True, default=1e-2, group="model")
    yield Row.of(
        "PBT: a real value between 0.0001 and 1, up and down",
        _same_moves(narrow, unit),
        "Ray multiplies the value and forgets its range: those at the ends leave it. Ours stay.",
    )
    yield Row.of(
        "PBT: a choice among words (`tune.choice`)",
        (not str(after).startswith("TypeError") for row in tables["choice"] for after in row[1:]),
        "Ray multiplies the word by 1.2, which is an error that ends the run. Ours switches with `choice_probability`.",
    )
    yield from _frequencies(observed["frequencies"])


def _same_moves(table: Sequence[Sequence[Any]], parameter: Parameter) -> Iterator[bool]:
    space = Space({"x": parameter})
    for value, *moved in table:
        for sign, theirs in zip((1.0, -1.0), moved, strict=True):
            ours = space.decode(scale(space, {"x": value}, 0.2, _Steered(sign)))["x"]  # type: ignore[arg-type]
            is_close = isinstance(ours, float) and math.isclose(ours, theirs, rel_tol=RELATIVE_ERROR)
            yield is_close or ours == theirs


def _frequencies(theirs: Observed) -> Iterator[Row]:
    names, num, start = "abc", theirs["num"], 1e-3
    space = Space({name: Float(1e-5, 1e-1, log=True, default=start, group="model") for name in names})
    explore, rng = _ray_settings().explorer, np.random.default_rng(1)
    new = [explore(dict.fromkeys(names, start), space, rng) for _ in range(num)]
    values = np.array([[config[name] for name in names] for config in new])  # [num, 3]
    is_up, is_down = np.isclose(values, 1.2 * start), np.isclose(values, 0.8 * start)
    is_redrawn = ~(is_up | is_down)
    for word, ours, key in (("redrawn", is_redrawn, "redrawn"), ("up", is_up, "up"), ("down", is_down, "down")):
        counts = ours.sum(axis=0).tolist()
        cases = (_is_near(a, b, num) for a, b in zip(counts, theirs[key], strict=True))
        shares = f"{sum(theirs[key]) / (3 * num):.4f} in Ray, {sum(counts) / (3 * num):.4f} in ours"
        yield Row.of(f"PBT: how often a value is {word} ({shares})", cases)
    together = int(is_redrawn.all(axis=1).sum())
    shares = f"{theirs['all_redrawn'] / num:.4f} in Ray, {together / num:.4f} in ours, 1/64 expected"
    yield Row.of(f"PBT: how often all three are redrawn ({shares})", [_is_near(together, theirs["all_redrawn"], num)])
    drawn = (np.log10(values[is_redrawn]) + 5) / 4
    deciles, num_theirs = np.histogram(drawn, bins=10, range=(0.0, 1.0))[0], sum(theirs["deciles"])
    scaled = (deciles * num_theirs / deciles.sum()).round().astype(int).tolist()
    cases = (_is_near(a, b, num_theirs) for a, b in zip(scaled, theirs["deciles"], strict=True))
    yield Row.of("PBT: where redrawn values fall, in tenths of the prior", cases)


def _hyperband(observed: Observed) -> Iterator[Row]:
    tables = [(brackets(c["max_t"], 1, c["eta"], "li"), c["brackets"]) for c in observed["brackets"]]
    yield Row.of(
        "Hyperband: number of brackets",
        (len(ours) == len(theirs) for ours, theirs in tables),
        "Ray computes R eta^-s in floating point: 729 times 3^-6 comes to less than 1, and a bracket is lost.",
    )
    pairs = [pair for ours, theirs in tables if len(ours) == len(theirs) for pair in zip(ours, theirs, strict=True)]
    yield Row.of("Hyperband: length of a bracket's first rung", (a[0].budget == b[0][1] for a, b in pairs))
    yield Row.of(
        "Hyperband: trials that begin a bracket",
        (a[0].num_trials == b[0][0] for a, b in pairs),
        "Ray rounds log(R) / log(eta) where Li et al. 2018 take its floor. Rounded up, all brackets are sized for one "
        "more than there are, for that one would begin below one iteration and is left out.",
    )
    later = [(a[i - 1 : i + 1], b[i - 1 : i + 1]) for a, b in pairs for i in range(1, len(a))]
    yield Row.of(
        "Hyperband: length of the later rungs",
        (a[1].budget == b[1][1] for a, b in later),
        "Ray multiplies the rounded length by eta, so a bracket may end early: with R = 100 and eta = 3 the two "
        "largest end at 81, and nobody in them ever trains for 100. Ours is floor(R eta^-k): every bracket ends at R.",
    )
    from_equal = [(a, b) for a, b in later if a[0].num_trials == b[0][0]]
    yield Row.of(
        "Hyperband: how many of a rung go on",
        (a[1].num_trials == b[1][0] for a, b in from_equal),
        "Ray keeps ceil(n / eta), Li et al. 2018 floor(n / eta), and so do we.",
    )
    yield from _hyperband_runs(observed)


def _hyperband_runs(observed: Observed) -> Iterator[Row]:
    rungs = [rung for run in observed["hyperband_runs"] for rung in _survivors(run)]
    yield Row.of("Hyperband runs: whom we let go on, Ray lets go on", (ours <= theirs for ours, theirs in rungs))
    equal = [(ours, theirs) for ours, theirs in rungs if len(ours) == len(theirs)]
    yield Row.of("Hyperband runs: who goes on, where equally many do", (ours == theirs for ours, theirs in equal))
    yield Row.of(
        "Hyperband runs: a trial that scores NaN is stopped at its first rung",
        (case["stopped"][case["place"]] == 1 for case in observed["hyperband_nan"]),
        "Ray sorts scores, and NaN compares with nothing, so it ends up anywhere: here at times among the survivors. "
        "Ours ranks it last.",
    )


def _survivors(run: Observed) -> Iterator[tuple[set[int], set[int]]]:
    """At every rung but the last of every bracket who went on: (ours, Ray's)."""
    tables = brackets(run["max_t"], 1, run["eta"], "li")
    stopped, begin = _stopped(run), 0
    for rungs in tables:
        trials = range(begin, begin + rungs[0].num_trials)
        begin = trials.stop
        for rung in rungs[:-1]:
            yield (
                {trial for trial in trials if stopped[trial] > rung.budget},
                {trial for trial in trials if run["stopped"][trial] > rung.budget},
            )


def _stopped(run: Observed) -> dict[int, int]:
    """After how many episodes each trial of our Hyperband is stopped, if it always scores its entry."""
    space = Space({"x": Float(0.0, 1.0, default=0.5, group="model")})
    tuner = make_tuner("hyperband", {"eta": run["eta"]}, space, 0, run["max_t"])
    stopped: dict[int, int] = {}
    while not tuner.is_done:
        for segment in tuner.ask(1):
            tuner.tell(Issued(segment))
            tuner.tell(Reported(_report(segment, run["scores"][segment.trial])))
            stopped[segment.trial] = segment.stop
    return stopped


def _policies(policies: Sequence[Observed]) -> Row:
    names = {"lr": "learning_rate", "epochs": "num_epochs", "env": ""}
    return Row.of(
        "Policy files: our import trains what Ray's replay does, in 40 iterations",
        (
            _changes(RayPolicy.from_text(policy["text"], names).schedule(40)) == policy["replayed"]
            for policy in policies
        ),
    )


def _changes(schedule: Schedule) -> list[list[Any]]:
    return [[piece.start + 1, piece.config["learning_rate"], piece.config["num_epochs"]] for piece in schedule.pieces]
