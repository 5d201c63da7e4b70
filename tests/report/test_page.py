"""The page: self-contained, escaped, made for every study, and true in what it says."""

import base64
import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cartwheel.analysis.comparison import Comparison, compare, headline
from cartwheel.analysis.tables import StudyTables
from cartwheel.analysis.timing import REMAINS, Timing
from cartwheel.analysis.wording import fixed
from cartwheel.records import Report, SegmentId
from cartwheel.report import sentences
from cartwheel.report.page import render_page, write_report
from made_up_study import CEILING, made_up_arms, made_up_study, per_env_step

VOID = {"meta", "br", "hr", "img", "link", "input"}
HOSTILE = "<script>alert('1')</script><img src=x onerror=alert(1)>"


class Outline(HTMLParser):
    """Elements, attributes and text of a page; fails on elements that are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(page)
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.stack or self.stack[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def comparison(shift: float = 45.0) -> Comparison:
    return compare(made_up_arms(shift), per_env_step, CEILING)


@pytest.fixture(scope="module")
def page() -> Outline:
    return Outline(render_page(made_up_study(), comparison(), per_env_step))


def test_the_result_is_the_first_thing_said(page: Outline) -> None:
    assert headline(comparison()) in page.text
    assert page.text.index("found by this one study") < page.text.index("What tuning bought")


def test_all_figures_are_there_for_wide_and_narrow_screens(page: Outline) -> None:
    assert page.tags.count("svg") == 2 * 6
    classes = [value for name, value in page.attributes if name == "class"]
    assert classes.count("wide") == classes.count("narrow") == 6


def test_ids_are_unique(page: Outline) -> None:
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_the_page_needs_nothing_else(page: Outline) -> None:
    """No script, no style sheet or picture from elsewhere, no address but names of namespaces."""
    assert not {"script", "link", "iframe", "object", "embed", "img"} & set(page.tags)
    sources = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "data", "srcset")]
    assert all(value.startswith(("#", "data:text/csv")) for value in sources)
    raw = render_page(made_up_study(), comparison(), per_env_step)
    assert set(re.findall(r"https?://[^\s\"'<)]+", raw)) <= {
        "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink",
    }  # fmt: skip
    assert "@import" not in raw
    assert not [url for url in re.findall(r"url\(([^)]*)\)", raw) if not url.startswith("#")]


def test_key_numbers_settings_versions_and_failures_are_there(page: Outline) -> None:
    for expected in (
        "8 members", "103 episodes finished, 8 of them random", "22,400 env steps, 1,800 of them in validation",
        "10 copies", "2 segments failed or diverged", "tuner.population 8", "jax 0.10.2",
        "MuJoCo: Nan, Inf or huge value in QACC at DOF 0 5.3", "2 segments of 47 failed or diverged.",
        "1 segment had not ended when this page was made.", "Physics stayed plausible in all 103 training episodes",
    ):  # fmt: skip
        # a tile puts its label before its number
        swapped = " ".join([*expected.split(" ")[1:], expected.split(" ")[0]])
        assert expected in page.text or swapped in page.text, expected


def test_simulator_warnings_are_counted_by_kind() -> None:
    tables = made_up_study()
    first = SegmentId("0.0")
    warned = tuple(dataclasses.replace(e, warnings={"BADQACC": 2}) for e in tables.episodes[first])
    tables = dataclasses.replace(tables, episodes={**tables.episodes, first: warned})
    assert "BADQACC 6" in Outline(render_page(tables)).text


@pytest.mark.parametrize("shift", [45.0, 0.0, -45.0])
def test_the_page_is_made_whichever_way_it_comes_out(shift: float) -> None:
    assert headline(comparison(shift)) in Outline(render_page(made_up_study(), comparison(shift))).text


def test_equal_studies_give_equal_pages() -> None:
    assert render_page(made_up_study(), comparison()) == render_page(made_up_study(), comparison())


def empty() -> StudyTables:
    return dataclasses.replace(
        made_up_study(), segments={}, episodes={}, reports={}, evaluations=(), timing=Timing(), meta={"tuner": "pbt"}
    )


def test_a_study_without_an_episode_gets_a_page_that_says_so() -> None:
    outline = Outline(render_page(empty()))
    assert "No segment has ended well yet (0 episodes finished), so there is no result to show." in outline.text
    assert "No time was recorded." in outline.text
    assert "svg" not in outline.tags


def test_a_study_without_a_finished_segment_shows_its_episodes() -> None:
    tables = dataclasses.replace(made_up_study(), reports={}, evaluations=())
    outline = Outline(render_page(tables))
    assert "No segment has ended well yet (103 episodes finished)" in outline.text
    assert outline.tags.count("svg") == 2 * 5


def test_a_study_of_a_single_episode_gets_a_page() -> None:
    tables = made_up_study(num_members=1, num_episodes=1, with_trouble=False)
    text = Outline(render_page(tables)).text
    assert "No member went on from another's checkpoint." in text
    assert "No segment failed; 1 ended well." in text
    assert "found by this one study, that of member 0, scored 51.45 (its only scored episode)" in text
    assert "member 1" in text


def test_hostile_names_come_out_as_text() -> None:
    tables = made_up_study()
    segment = next(iter(tables.segments))
    hostile = dataclasses.replace(
        tables,
        meta={"name": HOSTILE, "env_id": HOSTILE, "tuner": HOSTILE, "seed": HOSTILE},
        settings={HOSTILE: {HOSTILE: HOSTILE}},
        environment={HOSTILE: HOSTILE},
        reports={**tables.reports, segment: Report(segment, "failed", (), None, 0.0, HOSTILE)},
        timing=Timing(1.0, 0.1, 0.1, {HOSTILE: 1.0}),
    )
    arms = [dataclasses.replace(arm, label=HOSTILE) for arm in made_up_arms()]
    outline = Outline(render_page(hostile, compare(arms, per_env_step, CEILING)))
    assert not {"script", "img"} & set(outline.tags)
    assert not [name for name, _ in outline.attributes if name.startswith("on")]
    assert outline.text.count(HOSTILE) >= 9


def test_the_files_are_the_page_and_the_figures(tmp_path: Path) -> None:
    page = write_report(tmp_path, made_up_study(), comparison(), per_env_step)
    assert page == tmp_path / "report.html"
    assert page.read_text(encoding="utf-8") == render_page(made_up_study(), comparison(), per_env_step)
    names = ("comparison", "hyperparameters", "learning-curves", "lineages", "models", "time")
    expected = [f"{name}.{kind}" for name in names for kind in ("csv", "pdf", "svg")]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == expected


def test_the_page_holds_the_numbers_that_lie_beside_it(page: Outline, tmp_path: Path) -> None:
    """Byte for byte, under the names of the files: a page that was sent alone loses nothing."""
    write_report(tmp_path, made_up_study(), comparison(), per_env_step)
    names = [value for name, value in page.attributes if name == "download"]
    held = [value.partition("base64,")[2] for name, value in page.attributes if name == "href" and "base64," in value]
    beside = {path.name: path.read_bytes() for path in (tmp_path / "figures").glob("*.csv")}
    assert {name: base64.b64decode(text) for name, text in zip(names, held, strict=True)} == beside


def test_the_loops_own_share_is_said_as_it_is() -> None:
    assert "0.8 s, 0.3% (aim: under 1.0%)." in sentences.time(Timing(300.0, 0.8, 41.0))
    assert "Compiling took 41 s" in sentences.time(Timing(300.0, 0.8, 41.0))
    assert "6.0 s, 2.0% (aim: under 1.0%)." in sentences.time(Timing(300.0, 6.0))
    assert "Compiling" not in sentences.time(Timing(300.0, 6.0))


def test_where_the_devices_time_went_adds_up() -> None:
    """What was measured is said as it is, and what remains of all that the devices had; unknown is not guessed."""
    timing = Timing(50.0, 1.0, 9.0, {"plan": 40.0, "checkpoint": 2.0, "restore": 3.0}, 0.4, 100.0, 15.0)
    assert timing.of_devices == {"planning": 40.0, "compiling": 15.0, "store": 5.0, REMAINS: 40.0}
    assert timing.of_loop == {"commits": 0.4, "the tuner and records": 0.6}
    told = "1 min 40 s were 40% planning, 15% compiling, 5.0% store and 40% waiting and the rest."
    assert sentences.time(timing).endswith(f"Summed over devices, which work side by side, {told}")
    old = Timing(50.0, 1.0, 9.0, {"plan": 40.0})
    assert old.of_devices == {"planning": 40.0, "compiling": 9.0}


def test_sentences_of_the_figures_are_true_for_the_numbers() -> None:
    tables = made_up_study()
    assert sentences.lineages(tables) == (
        "10 copies in all; member 6 was copied most often (3 times). Arrows point from the copied to the copying; "
        "light bars were dropped later, a cross is a segment that failed. The incumbent's agent (blue) was trained in "
        "member 4 (episodes 0 to 2), member 1 (episodes 3 to 6) and member 2 (episodes 7 to 12)."
    )
    told = sentences.learning_curves(tables, 176.4)
    assert "The incumbent, member 2 (blue, along its lineage), scored 142.3" in told
    assert "34.1 above the incumbent's training score" in told
    assert "not finite (1 in all)" in told
    assert "below the incumbent's" in sentences.learning_curves(tables, 100.0)
    moves = sentences.hyperparameters(tables)
    assert "has 3 configs and moves learning_rate from" in moves
    assert moves.endswith("num_epochs and num_iterations ended as they began.")


def test_a_single_config_is_not_called_a_move() -> None:
    tables = made_up_study(num_members=1, num_episodes=2, with_trouble=False)
    assert sentences.hyperparameters(tables).endswith("has 1 config; every hyperparameter ends where it began.")


def test_the_sentence_of_the_models_says_which_way_plans_were_wrong() -> None:
    tables = made_up_study()
    assert "a plan promises 1.348 more return than follows" in sentences.models(tables)
    modest = {
        id_: tuple(dataclasses.replace(e, metrics={"plan_return_error": -2.5}) for e in episodes)
        for id_, episodes in tables.episodes.items()
    }
    told = sentences.models(dataclasses.replace(tables, episodes=modest))
    assert told.endswith("At the end, a plan promises 2.500 less return than follows.")


@pytest.mark.parametrize("shift", [45.0, -45.0])
def test_the_sentence_of_the_comparison_tells_the_means_whichever_way_they_come_out(shift: float) -> None:
    result = comparison(shift)
    told = sentences.comparison(result)
    for summary in result.summaries:
        assert summary.interval is not None
        assert f"{fixed(summary.interval.point, result.decimals)} under {summary.arm.label}" in told
