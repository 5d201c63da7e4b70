"""Figures: what is drawn is what the tables hold, for every kind of study, in the same bytes each time."""

import dataclasses
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from cartwheel.analysis.comparison import Run, compare
from cartwheel.analysis.tables import StudyTables, incumbent, learning_curve, schedule_of
from cartwheel.report import figures, physics, sentences
from cartwheel.report.style import BLUE, GREEN, NARROW, SVG, VERMILLION, WIDE, Layout, inline_svg, to_pdf, to_svg
from cartwheel.report.time_figure import draw_time
from cartwheel.spaces.space import Space
from made_up_study import CEILING, made_up_arms, made_up_study, per_env_step

DRAW: dict[str, Callable[[StudyTables, Layout], Figure]] = {
    "learning-curves": lambda tables, layout: figures.learning_curves(tables, CEILING.mean, layout),
    "lineages": figures.lineages,
    "hyperparameters": figures.hyperparameters,
    "models": figures.models,
    "time": lambda tables, layout: draw_time(tables.timing, layout),
    "comparison": lambda _, layout: figures.comparison(compare(made_up_arms(), per_env_step, CEILING), layout),
}
STUDIES = {
    "eventful": made_up_study(),
    "one-episode": made_up_study(num_members=1, num_episodes=1, with_trouble=False),
    "unfinished": dataclasses.replace(made_up_study(), reports={}, evaluations=()),
    "all-nan": dataclasses.replace(
        made_up_study(),
        episodes={
            id_: tuple(dataclasses.replace(episode, return_=math.nan) for episode in episodes)
            for id_, episodes in made_up_study().episodes.items()
        },
    ),
}


def lines(figure: Figure, colour: str) -> list[tuple[list[float], list[float]]]:
    """The data of all lines of one colour."""
    return [
        (list(map(float, np.asarray(line.get_xdata()))), list(map(float, np.asarray(line.get_ydata()))))
        for axes in figure.axes
        for line in axes.get_lines()
        if to_hex(line.get_color()) == colour
    ]


@pytest.mark.parametrize("name", DRAW)
@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("layout", [WIDE, NARROW], ids=lambda layout: layout.name)
def test_every_figure_of_every_study_becomes_svg(name: str, study: str, layout: Layout) -> None:
    root = ET.fromstring(to_svg(DRAW[name](STUDIES[study], layout), name))
    width = float(root.attrib["width"].removesuffix("pt"))
    assert width == pytest.approx(72 * layout.width)


@pytest.mark.parametrize("name", DRAW)
def test_equal_numbers_give_equal_bytes(name: str) -> None:
    one, two = (to_svg(DRAW[name](made_up_study(), WIDE), name) for _ in range(2))
    assert one == two
    assert not re.search(r"20\d\d-\d\d-\d\d", one)
    papers = [to_pdf(DRAW[name](made_up_study(), WIDE)) for _ in range(2)]
    assert papers[0] == papers[1]
    assert papers[0].startswith(b"%PDF")


def test_the_incumbent_is_drawn_along_its_lineage() -> None:
    tables = made_up_study()
    best = incumbent(tables)
    assert best is not None
    curve = learning_curve(tables, best)
    assert (list(curve.episodes), list(curve.returns)) in lines(figures.learning_curves(tables), BLUE)


def test_the_ceiling_is_a_line_at_its_height() -> None:
    ((_, heights),) = lines(figures.learning_curves(made_up_study(), 176.4), GREEN)
    assert heights == [176.4, 176.4]
    assert lines(figures.learning_curves(made_up_study()), GREEN) == []


def test_a_return_that_is_not_finite_is_marked_at_its_episode() -> None:
    ((at, _),) = lines(figures.learning_curves(made_up_study()), VERMILLION)
    assert at == [6.0]


def test_the_incumbents_path_goes_through_the_copied_members() -> None:
    """Member 4 to episode 2, member 1 to episode 6, then member 2: as the segments say."""
    bars = [line for line in lines(figures.lineages(made_up_study()), BLUE) if len(line[0]) == 2]
    assert sorted((round(x[0]), round(x[1]), y[0]) for x, y in bars) == [
        (0, 2, 4.0), (3, 4, 1.0), (5, 6, 1.0), (7, 8, 2.0), (9, 10, 2.0), (11, 12, 2.0),
    ]  # fmt: skip


def test_every_copy_has_an_arrow_and_every_failure_a_cross() -> None:
    figure = figures.lineages(made_up_study())
    assert len(figure.axes[0].patches) == 10
    assert [(x[0], y[0]) for x, y in lines(figure, VERMILLION)] == [(6.0, 2.0), (7.0, 5.0)]


def test_the_winning_schedule_is_drawn_in_every_panel() -> None:
    tables = made_up_study()
    best = incumbent(tables)
    assert best is not None
    figure = figures.hyperparameters(tables)
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == list(tables.space.names)
    (horizon,) = (line for line in figure.axes[titles.index("plan_horizon")].get_lines() if line.get_color() == BLUE)
    expected = [piece.config["plan_horizon"] for piece in schedule_of(tables, best).pieces for _ in range(2)]
    assert list(np.asarray(horizon.get_ydata())) == expected
    assert list(np.asarray(horizon.get_xdata())) == [-0.5, 2.5, 2.5, 6.5, 6.5, 12.5]


def test_logarithmic_parameters_get_logarithmic_axes() -> None:
    figure = figures.hyperparameters(made_up_study())
    scales = {axes.get_title("left"): axes.get_yscale() for axes in figure.axes}
    assert scales["learning_rate"] == scales["num_samples"] == "log"
    assert scales["plan_horizon"] == scales["alpha"] == "linear"


def test_choices_are_drawn_by_name() -> None:
    space = Space.from_dict(
        {"optimiser": {"kind": "choice", "values": ["adam", "sgd"], "default": "adam", "group": "model"}}
    )
    tables = made_up_study(num_members=1, with_trouble=False)
    segments = {
        id_: dataclasses.replace(segment, config={"optimiser": "sgd"}) for id_, segment in tables.segments.items()
    }
    figure = figures.hyperparameters(dataclasses.replace(tables, space=space, segments=segments))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["adam", "sgd"]
    assert {float(y) for line in axes.get_lines() for y in np.asarray(line.get_ydata())} == {1.0}


def test_the_models_are_medians_over_members() -> None:
    """Every panel's lines hold the median of each model-driven episode; the random one is left out."""
    tables = made_up_study()
    axes = figures.models(tables).axes[0]
    drawn = next(line for line in axes.get_lines() if line.get_label() == "new episode")
    for index, height in zip(drawn.get_xdata(), drawn.get_ydata(), strict=True):
        ran = [episode for episodes in tables.episodes.values() for episode in episodes if episode.index == index]
        assert height == np.median([episode.metrics["unseen_nll"] for episode in ran])
    assert list(drawn.get_xdata()) == list(range(1, 13))


def test_the_comparison_shows_every_seed_mean_and_interval() -> None:
    result = compare(made_up_arms(), per_env_step, CEILING)
    found = lines(figures.comparison(result), BLUE)
    interval = result.found.interval
    assert interval is not None
    assert [x for x, _ in found] == [
        list(result.found.arm.means.values()), [interval.low, interval.high], [interval.point],
    ]  # fmt: skip


def test_an_arm_that_failed_altogether_says_so() -> None:
    default, random, schedule = made_up_arms()
    failed = dataclasses.replace(random, runs=tuple(Run(run.seed, ()) for run in random.runs))
    svg = to_svg(figures.comparison(compare([default, failed, schedule], per_env_step)), "x")
    assert "the best config of Random Search: every training failed" in svg


def test_text_stays_text_in_the_readers_font() -> None:
    svg = to_svg(figures.learning_curves(made_up_study()), "x")
    assert "incumbent" in svg
    assert "DejaVu" not in svg
    assert "system-ui" in svg


def test_inline_svg_is_fluid_coloured_by_variables_and_has_ids_of_its_own() -> None:
    svg = to_svg(figures.lineages(made_up_study()), "x")
    root = ET.fromstring(inline_svg(svg, "mine", "who & <whom>"))
    assert root.attrib["aria-label"] == "who & <whom>"
    assert "viewBox" in root.attrib
    assert "width" not in root.attrib
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert ids
    assert all(id_.startswith("mine-") for id_ in ids)
    inline = ET.tostring(root, encoding="unicode")
    assert set(re.findall(r"url\(#([^)]*)\)", inline)) <= set(ids)
    assert "var(--blue)" in inline
    assert BLUE not in inline
    assert root.find(f".//{{{SVG}}}metadata") is None


def test_mathematical_signs_in_names_are_taken_literally() -> None:
    space = Space.from_dict(
        {"$x_1$ & <b>": {"kind": "float", "low": 0.0, "high": 1.0, "default": 0.5, "group": "model"}}
    )
    svg = to_svg(figures.hyperparameters(dataclasses.replace(made_up_study(), space=space)), "x")
    assert "$x_1$ &amp; &lt;b&gt;" in svg


def with_a_break(return_: float, tables: StudyTables | None = None, segment: str = "2.2") -> StudyTables:
    """The study without trouble, but that physics broke in episode 6 of member 2, or in another's last."""
    tables = tables or made_up_study(with_trouble=False)
    id_ = next(id_ for id_ in tables.episodes if id_ == segment)
    *before, last = tables.episodes[id_]
    metrics = {"first_step_speed_out_of_bounds": 120.0, "plausible_return": 55.5, "top_speed_m_s": 2161.0, "turns": 4.0}
    broken = dataclasses.replace(last, return_=return_, metrics=metrics, warnings={"speed_out_of_bounds": 80})
    return dataclasses.replace(tables, episodes={**tables.episodes, id_: (*before, broken)})


def test_a_return_of_broken_physics_is_ringed() -> None:
    figure = figures.learning_curves(with_a_break(150.0))
    assert ([6.0], [150.0]) in lines(figure, VERMILLION)


def test_a_huge_return_of_broken_physics_does_not_hide_the_others() -> None:
    """It is a triangle at the upper edge of an axis that the other returns fill."""
    figure = figures.learning_curves(with_a_break(410_841.0))
    _, top = figure.axes[0].get_ylim()
    assert top < 400.0
    assert ([6.0], [top]) in lines(figure, VERMILLION)


def test_a_break_beside_a_single_sound_return_is_on_an_axis_that_holds_both() -> None:
    """One return gives no scale, so there is none to keep to."""
    tables = with_a_break(37_472.0, made_up_study(1, 1, with_trouble=False), "0.0")
    assert ([1.0], [37_472.0]) in lines(figures.learning_curves(tables), VERMILLION)


def test_a_score_that_rests_on_broken_physics_is_said_first() -> None:
    """In the sentence at the top, with how many of its episodes; a sound one has no such sentence."""
    sound = made_up_study(2, 4, with_trouble=False)
    best = incumbent(sound)
    assert best is not None
    assert "Mind the score" not in sentences.result(sound, None)
    told = sentences.result(with_a_break(9_999.0, sound, best), None)
    assert told.endswith("in 1 of the 3 episodes that the score rests on.")
    single = made_up_study(1, 1, with_trouble=False)
    assert sentences.result(with_a_break(9_999.0, single, "0.0"), None).endswith("plausible range in that episode.")


def test_sound_studies_have_no_rings() -> None:
    assert [x for x, _ in lines(figures.learning_curves(made_up_study(with_trouble=False)), VERMILLION) if x] == []


def test_what_physics_did_tells_breaking_and_turning_apart() -> None:
    """The return before the break, where it broke and why; the same episode's turns in a table of their own."""
    page = "\n".join(physics.body(with_a_break(410_841.0)))
    broke, turned = page.split("Turning over breaks no physics")
    for told in ("410,841", "55.5", "<td>120</td>", "speed_out_of_bounds", "2,161"):
        assert told in broke
    assert "<td>4</td>" in turned
    assert "0 of them with" in turned
    assert "stayed plausible" in "\n".join(physics.body(made_up_study()))
