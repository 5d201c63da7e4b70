"""The page of a comparison: every section, its figures with their numbers beside them, and honest sentences."""

import csv
import dataclasses
from pathlib import Path

import pytest

from cartwheel.analysis.mismatch import Mismatch
from cartwheel.analysis.statistics import Interval
from cartwheel.analysis.transfer import Moved, matrix
from cartwheel.report.claims import result_sentences
from cartwheel.report.evidence_page import FIGURES, Evidence, findings_of, tasks_of, write_evidence
from cartwheel.report.finding_figures import mismatch, transfers
from cartwheel.report.findings import Finding
from cartwheel.report.style import NARROW
from made_up_evidence import made_up_evidence

SECTIONS = (
    "All tasks together: the agent",
    "Results on line",
    "Arm against arm on line",
    "Incumbents over cost on line",
    "Performance profiles on line",
    "Selection or tuning?",
    "Transfer to new seeds and to other tasks",
    "The price of transferring",
    "The cost of simplifying",
    "Schedules over time: pbt on line",
    "Budgets on line: few episodes against many",
    "Which hyperparameters matter on line?",
    "Importance over time on line: random-search",
    "Importance over time on line: pbt",
    "Response maps on line",
    "Objective mismatch on line",
    "From the default to the found config on line",
)


def silent(text: str) -> None:
    assert "fanova" in text, text


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return made_up_evidence()


@pytest.fixture(scope="module")
def findings(evidence: Evidence) -> list[Finding]:
    pytest.importorskip("optuna")
    return list(findings_of(evidence, tasks_of(evidence), silent))


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_every_section_is_there(findings: list[Finding]) -> None:
    """Each with at least one sentence, and names that make different files."""
    titles = [finding.title for finding in findings]
    assert [title for title in SECTIONS if title not in titles] == []
    assert all(all(finding.sentences) for finding in findings)
    assert len({finding.name for finding in findings}) == len(findings)


def test_every_figure_has_numbers_and_can_be_drawn(findings: list[Finding]) -> None:
    """Also for narrow screens."""
    for finding in findings:
        assert finding.rows, finding.name
        if "cartpole" not in finding.name:
            assert finding.draw(NARROW).axes, finding.name


def test_figures_have_their_numbers_beside_them(evidence: Evidence, tmp_path: Path) -> None:
    """One CSV per SVG, a table of all scores, and a page that asks nobody for anything."""
    some = Evidence([one for one in evidence.studies if one.result.arm == "default"][:2])
    page, _ = write_evidence(tmp_path, "made up", some, silent)
    figures = sorted(path.stem for path in (tmp_path / FIGURES).glob("*.svg"))
    assert figures == sorted(path.stem for path in (tmp_path / FIGURES).glob("*.csv"))
    assert "results-line" in figures
    rows = rows_of(tmp_path / "scores.csv")
    assert len(rows) == 2 * 2 * 10
    first = some.studies[0].result
    own = [row for row in rows if row["tuner_seed"] == str(first.tuner_seed) and row["question"] == "agent"]
    assert {int(row["test_seed"]): float(row["return"]) for row in own} == first.agent
    assert "http://" not in page.read_text().replace("http://www.w3.org", "")


def test_five_tuner_seeds_make_a_claim_and_four_an_indication(evidence: Evidence) -> None:
    only = [one for one in evidence.studies if one.result.task == "line" and one.result.arm in ("default", "pbt")]
    agent, rerun = result_sentences(*tasks_of(Evidence(only)))
    assert "pbt returned most" in agent
    assert "better than default" in agent
    assert "indication" not in agent + rerun
    few = [one for one in only if one.result.tuner_seed <= 4]
    agent, _ = result_sentences(*tasks_of(Evidence(few)))
    assert "as an indication, from few tuner seeds, better than default" in agent


def test_few_transfers_are_an_indication_too() -> None:
    """Five schedules that are better are said to be; of the same ones three say it as an indication."""
    five = [
        Moved("far", "pbt", "dynamic", seed, "line", {test: 50.0 + seed + test for test in range(10)})
        for seed in range(1, 6)
    ]
    default = {"line": dict.fromkeys(range(10), 20.0)}
    (claimed,) = transfers(matrix(five, default)).sentences
    assert "better: pbt of far followed on line, and none is surely worse" in claimed
    (indicated,) = transfers(matrix(five[:3], default)).sentences
    assert "better, as an indication from few tuner seeds: pbt of far followed on line" in indicated


def test_a_mismatch_is_told_in_both_directions() -> None:
    """A model that errs less and an agent that returns less is a finding, too."""
    found = [
        Mismatch("unseen_nll", "between agents", Interval(-0.4, -0.5, -0.3), 90, 10),
        Mismatch("error_25_ahead", "between agents", Interval(0.2, 0.1, 0.3), 90, 10),
        Mismatch("error_25_ahead", "within an agent", Interval(0.0, -0.1, 0.1), 90, 10),
    ]
    (sentence,) = mismatch("line", found, "line").sentences
    assert sentence.endswith(
        "They do, beyond what chance gives, between agents of equal age by unseen_nll. "
        "The other way round: between agents of equal age by error_25_ahead."
    )


def test_equal_evidence_gives_equal_bytes(evidence: Evidence, tmp_path: Path) -> None:
    some = dataclasses.replace(evidence, studies=evidence.studies[:1], moved=(), ablations={})
    write_evidence(tmp_path / "one", "x", some, silent)
    write_evidence(tmp_path / "two", "x", some, silent)
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*")]
    assert [f for f in files if (tmp_path / "one" / f).read_bytes() != (tmp_path / "two" / f).read_bytes()] == []


def test_studies_without_tests_say_so(evidence: Evidence, tmp_path: Path) -> None:
    """The page is there, with what can be said without test seeds."""
    first = evidence.studies[:2]
    untested = [dataclasses.replace(s, result=dataclasses.replace(s.result, agent={}, rerun={})) for s in first]
    page, headlines = write_evidence(tmp_path, "x", Evidence(untested), silent)
    assert "not tested" in page.read_text()
    assert not any("returned most" in headline for headline in headlines)
