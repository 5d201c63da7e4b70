"""The page of a comparison: what was compared, at which cost, and everything that the studies say beside it.

Every section is there when the studies hold what it needs: a Random Search for budgets and importances, a dynamic arm
for schedules, selection-only and the default config for the question what copying alone gives.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cartwheel.analysis.ablation import Ablation
from cartwheel.analysis.correlation import fidelity_scores, spread_fidelities, together
from cartwheel.analysis.evidence import ASKED, ArmResult, Compared, TaskEvidence, arms_of, task_evidence
from cartwheel.analysis.frames import csv_text, frame
from cartwheel.analysis.importance import Importance, Method, final_scores, importances, over_time
from cartwheel.analysis.mismatch import ERRORS, mismatches, points
from cartwheel.analysis.normalised import overall
from cartwheel.analysis.response import response
from cartwheel.analysis.selection import decompose, nearest_in_cost
from cartwheel.analysis.transfer import SELECTION_ONLY, Moved, kind_of_tuner, matrix, prices, simplifying, with_home
from cartwheel.analysis.wording import listed, plural
from cartwheel.report import arm_figures, finding_figures, matter_figures
from cartwheel.report.claims import seeds_sentence
from cartwheel.report.exhibits import write_exhibit
from cartwheel.report.fidelity_figures import fidelities
from cartwheel.report.findings import Finding, Row, sections
from cartwheel.report.html import document, paragraph
from cartwheel.report.schedule_figures import schedules
from cartwheel.report.style import style_sheet
from cartwheel.seeds import numpy_rng
from cartwheel.spaces.space import Space
from cartwheel.tuners.models.optuna_samplers import MissingPackage, Observed
from cartwheel.tuners.registry import TUNERS

PAGE = "evidence.html"
FIGURES = "figures"
SCORES = "scores.csv"
DEFAULT_TUNER = "fixed"
RANDOM_SEARCH = "random-search"
METHODS: tuple[Method, ...] = ("ped-anova", "fanova")
NUM_MAPPED = 3
"""So many of the most important hyperparameters get a response map, and every two of them one together."""


@dataclass(frozen=True)
class Evidence:
    """All that a page shows. ``moved``, ``defaults``: as ``transfer.matrix`` takes them, without the reruns at home."""

    studies: Sequence[Compared]
    moved: Sequence[Moved] = ()
    defaults: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    ablations: Mapping[str, Ablation] = field(default_factory=dict)


def write_evidence(folder: Path, name: str, evidence: Evidence, say: Callable[[str], None]) -> tuple[Path, list[str]]:
    """Write ``evidence.html``, ``figures/`` (SVG, PDF, CSV), and ``scores.csv``; the page, and its main sentences.

    ``say`` hears what had to be left out for want of a package.
    """
    tasks = tasks_of(evidence)
    findings = [*findings_of(evidence, tasks, say)]
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    for finding in findings:
        write_exhibit(folder / FIGURES, finding.exhibit)
    (folder / SCORES).write_text(csv_text(frame(list(_scores(evidence.studies)))), encoding="utf-8")
    headlines = [s for e in findings if e.name.startswith(("results-", "over-tasks-")) for s in e.sentences]
    about = listed([plural(len(evidence.studies), "study"), *(task.task for task in tasks)])
    lead = [paragraph(f"{task.task}: {seeds_sentence(task)}", "result") for task in tasks]
    page = folder / PAGE
    page.write_text(document(name, about, style_sheet(), [*lead, *sections(findings)]), encoding="utf-8")
    return page, headlines


def tasks_of(evidence: Evidence) -> list[TaskEvidence]:
    """The arms of every task, compared."""
    arms: dict[str, list[ArmResult]] = {}
    for arm in arms_of([one.result for one in evidence.studies]):
        arms.setdefault(arm.task, []).append(arm)
    return [task_evidence(of_task) for of_task in arms.values()]


def findings_of(evidence: Evidence, tasks: Sequence[TaskEvidence], say: Callable[[str], None]) -> Iterator[Finding]:
    """Everything that the page shows, in its order."""
    if len(tasks) > 1:
        defaults = {task: arm for (task, arm), tuner in _tuners(evidence).items() if tuner == DEFAULT_TUNER}
        found = [overall(tasks, defaults, question) for question in ASKED]
        yield from (arm_figures.over_tasks(one) for one in found if one is not None)
    for task in tasks:
        shown = (arm_figures.differences(task), arm_figures.incumbents(task), arm_figures.performance_profiles(task))
        yield arm_figures.results(task)
        yield from (finding for finding in shown if finding is not None)
    yield from _selection(evidence, tasks)
    yield from _transfer(evidence)
    for task in tasks:
        yield from _of_task([one for one in evidence.studies if one.result.task == task.task], say)
    yield from (matter_figures.ablation(found, _key(name)) for name, found in evidence.ablations.items())


def _of_task(studies: Sequence[Compared], say: Callable[[str], None]) -> Iterator[Finding]:
    """What the studies of one task say of its hyperparameters, budgets and models."""
    key = _key(studies[0].result.task)
    for arm, own in _dynamic_arms(studies).items():
        yield schedules([one.tables for one in own], arm, f"{key}-{_key(arm)}")
    yield from _budgets(studies, key)
    try:
        yield from _importances(studies, key)
    except MissingPackage as missing:
        say(f"importances are left out: {missing}")
    rng = numpy_rng("mismatch", key)
    tables = [one.tables for one in studies]
    found = [one for error in ERRORS if (of := points(tables, error)) for one in mismatches(of, error, rng)]
    if found:
        yield finding_figures.mismatch(studies[0].result.task, found, key)


def _selection(evidence: Evidence, tasks: Sequence[TaskEvidence]) -> Iterator[Finding]:
    tuners = _tuners(evidence)
    found = []
    for task in tasks:
        copying, default = (
            [arm for arm in task.arms if tuners[task.task, arm.arm] == tuner]
            for tuner in (SELECTION_ONLY, DEFAULT_TUNER)
        )
        if not copying or not default:
            continue
        dynamic = [arm for arm in task.arms if kind_of_tuner(tuners[task.task, arm.arm]) == "dynamic"]
        parts = [decompose(arm, nearest_in_cost(copying, arm), nearest_in_cost(default, arm)) for arm in dynamic]
        found += [part for part in parts if part is not None]
    if found:
        yield finding_figures.selection(found)


def _transfer(evidence: Evidence) -> Iterator[Finding]:
    """What was moved to other tasks, and the reruns of all studies, on new seeds of their own."""
    tested = [one for one in evidence.studies if one.result.rerun]
    tuned = [(one.result, kind_of_tuner(_tuner(one))) for one in tested if _tuner(one) != DEFAULT_TUNER]
    moved = with_home(evidence.moved, tuned)
    at_home = {one.result.task: one.result.rerun for one in tested if _tuner(one) == DEFAULT_TUNER}
    if moved:
        yield finding_figures.transfers(matrix(moved, at_home | dict(evidence.defaults)))
    if found := prices(moved):
        yield finding_figures.transfer_prices(found)
    if found := simplifying(moved):
        yield finding_figures.cost_of_simplifying(found)


def _budgets(studies: Sequence[Compared], key: str) -> Iterator[Finding]:
    full = [one for one in studies if _tuner(one) == RANDOM_SEARCH]
    censored = [one for one in studies if TUNERS[_tuner(one)].stops_early]
    parts = [
        together([fidelity_scores(one.tables, spread_fidelities(_num_episodes(one))) for one in group])
        for group in (full, censored)
        if group
    ]
    finding = fidelities(studies[0].result.task, parts, key) if parts else None
    if finding is not None:
        yield finding


def _importances(studies: Sequence[Compared], key: str) -> Iterator[Finding]:
    task = studies[0].result.task
    searched = _of_one_space([one for one in studies if _tuner(one) == RANDOM_SEARCH])
    if searched:
        space, observed = searched[0].tables.space, [o for one in searched for o in final_scores(one.tables)]
        found: dict[str, list[Importance]] = {
            method: bars for method in METHODS if (bars := importances(space, observed, method))
        }
        if found:
            about = f"Of {plural(len(observed), 'config')} that Random Search trained to the end."
            yield matter_figures.importances(found, f"Which hyperparameters matter on {task}?", key, about, "by")
            yield _responses(space, observed, [(bar.share, bar.name) for bar in found[METHODS[0]]], task, key)
        yield from _over_time(searched, task, RANDOM_SEARCH, f"{key}-random-search")
    for arm, own in _dynamic_arms(studies).items():
        yield from _over_time(own, task, arm, f"{key}-{_key(arm)}")


def _over_time(studies: Sequence[Compared], task: str, arm: str, key: str) -> Iterator[Finding]:
    windows = over_time([one.tables for one in studies])
    space = studies[0].tables.space
    found = {
        f"episodes to {last}": bars for last, of in windows.items() if (bars := importances(space, of, METHODS[0]))
    }
    if found:
        about = (
            f"By {METHODS[0]}, in windows of the training. For tuners that change configs, of the gain of every "
            "segment beside its generation's; for others, of the score by then."
        )
        yield matter_figures.importances(found, f"Importance over time on {task}: {arm}", f"time-{key}", about, "in")


def _responses(
    space: Space, observed: Sequence[Observed], shares: Sequence[tuple[float, str]], task: str, key: str
) -> Finding:
    top = [name for _, name in sorted(shares, reverse=True)[:NUM_MAPPED]]
    pairs = [[a, b] for k, a in enumerate(top) for b in top[k + 1 :]]
    maps = [response(space, observed, names) for names in [*([name] for name in top), *pairs]]
    return matter_figures.responses(space, maps, f"Response maps on {task}", key)


def _dynamic_arms(studies: Sequence[Compared]) -> dict[str, list[Compared]]:
    arms: dict[str, list[Compared]] = {}
    for one in studies:
        if kind_of_tuner(_tuner(one)) == "dynamic":
            arms.setdefault(one.result.arm, []).append(one)
    return arms


def _of_one_space(studies: Sequence[Compared]) -> list[Compared]:
    """Those of the largest space: studies of a part of it say nothing of the rest."""
    largest = max((one.tables.space for one in studies), key=len, default=None)
    return [one for one in studies if one.tables.space == largest]


def _scores(studies: Sequence[Compared]) -> Iterator[Row]:
    """Every score behind the page: one row per study, question and test seed."""
    for one in studies:
        about = one.result
        for question in ASKED:
            scores: Mapping[int, float] = getattr(about, question)
            for seed, value in sorted(scores.items()):
                yield {
                    "task": about.task, "arm": about.arm, "tuner_seed": about.tuner_seed, "question": question,
                    "test_seed": seed, "return": value, "env_steps": about.env_steps, "device_s": about.device_s,
                }  # fmt: skip


def _tuners(evidence: Evidence) -> dict[tuple[str, str], str]:
    """By task and arm."""
    return {(one.result.task, one.result.arm): _tuner(one) for one in evidence.studies}


def _tuner(one: Compared) -> str:
    return str(one.tables.meta["tuner"])


def _num_episodes(one: Compared) -> int:
    return int(one.tables.settings["num_episodes"])


def _key(text: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in text).strip("-").lower()
