"""The report and the page of evidence in a real browser: quiet, alone, within a phone's and a desk's screen, printable.

The pictures are kept in ``.pytest_cache/report`` for whoever wants to look.
"""

import dataclasses
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from cartwheel.analysis.comparison import Comparison, compare
from cartwheel.analysis.tables import StudyTables
from cartwheel.report.evidence_page import Evidence, write_evidence
from cartwheel.report.page import write_report
from chromium import Browser, browser, needs_chromium
from made_up_evidence import made_up_evidence
from made_up_study import CEILING, made_up_arms, made_up_study, per_env_step

PICTURES = Path(__file__).parents[2] / ".pytest_cache" / "report"
PHONE, DESK = 390, 1440

OVERFLOWING = """
[...document.querySelectorAll('body *')]
  .filter(e => e.getBoundingClientRect().width > 0 && !e.closest('.scroll') && !e.closest('svg'))
  .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map(e => e.outerHTML.slice(0, 80))
"""
CUT = """
[...document.querySelectorAll('svg')]
  .filter(svg => svg.getBoundingClientRect().width > 0)
  .flatMap(svg => [...svg.querySelectorAll('text')].map(text => [text, text.getBoundingClientRect()])
    .filter(([_, box]) => box.left < -0.5 || box.right > document.documentElement.clientWidth + 0.5)
    .map(([text, _]) => text.textContent))
"""
SMALLEST_TEXT_PX = """
Math.min(...[...document.querySelectorAll('svg text')].filter(t => t.getBoundingClientRect().width > 0)
  .map(t => parseFloat(getComputedStyle(t).fontSize) * t.ownerSVGElement.getScreenCTM().a))
"""


def comparison(shift: float) -> Comparison:
    return compare(made_up_arms(shift), per_env_step, CEILING)


LONG = "a-name-of-an-environment/that-nobody-would-choose-but-somebody-will-have-v0"
STUDIES: dict[str, tuple[StudyTables, Comparison | None]] = {
    "eventful": (made_up_study(), comparison(45.0)),
    "negative": (made_up_study(), comparison(-45.0)),
    "large": (made_up_study(24, 40), None),
    "wordy": (dataclasses.replace(made_up_study(2, 2), meta={"name": LONG, "env_id": LONG, "tuner": "pbt"}), None),
}


EVIDENCE = "evidence"


def evidence() -> Evidence:
    """A page with every figure; of the second task only two arms, as its figures are those of the first.

    Two tuner seeds: the layout does not ask for more. The names are as long as those of a suite may get.
    """
    made = made_up_evidence(2)
    some = [one for one in made.studies if one.result.task == "line" or one.result.arm in ("default", "pbt")]
    file = "halfcheetah_pbt_planning_incumbent, num_samples x 0.096"
    moved = [*made.moved, *(dataclasses.replace(one, source="a file", arm=file) for one in made.moved[:2])]
    return dataclasses.replace(made, studies=some, moved=moved)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The page of a study, written once."""

    @cache
    def written(study: str) -> Path:
        PICTURES.mkdir(parents=True, exist_ok=True)
        if study == EVIDENCE:
            return write_evidence(tmp_path_factory.mktemp(study), "made up", evidence(), lambda _: None)[0]
        return write_report(tmp_path_factory.mktemp(study), *STUDIES[study], per_env_step)

    return written


@needs_chromium
@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("study", [*STUDIES, EVIDENCE])
def test_the_report_fits_the_screen_and_asks_for_nothing(
    study: str, width: int, opened: Browser, pages: Callable[[str], Path]
) -> None:
    """No message on the console, no request but the page, nothing beyond the edge, no letter too small to read."""
    page = pages(study)
    opened.requests.clear()
    opened.open(page, width)
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [page.as_uri()]
    assert opened.ask("innerWidth") == width
    assert opened.ask("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert opened.ask(OVERFLOWING) == []
    assert opened.ask(CUT) == []
    assert opened.ask(SMALLEST_TEXT_PX) > 9
    opened.picture(PICTURES / f"{study}-{width}.png")


@needs_chromium
@pytest.mark.parametrize("study", ["eventful", EVIDENCE])
def test_the_report_is_shown_dark_where_that_is_asked_for(
    study: str, opened: Browser, pages: Callable[[str], Path]
) -> None:
    """Page and figures: no ink of the light page is left."""
    opened.open(pages(study), DESK, is_dark=True)
    assert opened.ask("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 29)"
    inks = "[...document.querySelectorAll('svg text')].map(t => getComputedStyle(t).fill)"
    assert "rgb(31, 41, 51)" not in opened.ask(inks)
    opened.picture(PICTURES / f"{study}-dark.png")


@needs_chromium
@pytest.mark.parametrize(("study", "most_pages"), [("eventful", 6), (EVIDENCE, 20)])
def test_the_report_prints_on_few_pages(
    study: str, most_pages: int, opened: Browser, pages: Callable[[str], Path]
) -> None:
    """On A4, as a PDF that a browser writes; the wide figures are the ones on paper."""
    opened.open(pages(study), DESK)
    opened.paper(PICTURES / f"{study}.pdf")
    num_pages = (PICTURES / f"{study}.pdf").read_bytes().count(b"/Type /Page\n")
    assert 2 <= num_pages <= most_pages


@needs_chromium
def test_the_numbers_of_a_figure_can_be_had_from_the_page(opened: Browser, pages: Callable[[str], Path]) -> None:
    """What the link holds is the file beside the page, without a request to anywhere."""
    opened.open(pages("eventful"), DESK)
    link = "document.querySelector('a[download=\"learning-curves.csv\"]').href"
    held = opened.ask(f"fetch({link}).then(got => got.text())")
    assert held == (pages("eventful").parent / "figures" / "learning-curves.csv").read_text()
