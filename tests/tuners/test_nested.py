"""What is drawn outside of a population, and that populations know nothing of each other. The rest: contracts."""

import dataclasses
from typing import Any

import pytest

from cartwheel.records import Issued, Reported, Sources, Voided, segment_id
from cartwheel.spaces.space import Choice, Float, Int, Space
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.nested import draw_shapes
from cartwheel.tuners.registry import make_tuner
from synthetic import PLAIN, RICH_SHAPED, Loop, SyntheticAgent, constant, issued, tell_all

WIDTH = Int(10, 500, default=200, group="model", is_static=True)
SHAPED = Space({"width": WIDTH, **PLAIN.parameters})
SMALL: dict[str, Any] = {"population": 4, "first_interval_episodes": 1, "interval_episodes": 1}


def search(num_shapes: int = 3, seed: int = 1, space: Space = SHAPED, num_episodes: int = 4, **settings: Any) -> Tuner:
    return make_tuner("pbt", {**SMALL, "num_shapes": num_shapes, **settings}, space, seed, num_episodes)


def widths(tuner: Tuner) -> list[Any]:
    return [shape["width"] for shape in tuner.state()["shapes"]]


def test_more_shapes_begin_with_the_same_ones() -> None:
    few, many = draw_shapes(SHAPED, 5, 3, False), draw_shapes(SHAPED, 5, 9, False)
    assert many[:3] == few
    assert draw_shapes(SHAPED, 6, 3, False) != few


def test_the_default_shape_and_config_come_first() -> None:
    assert draw_shapes(SHAPED, 5, 3, True)[0] == {"width": 200}
    assert search(default_first=True).ask(1)[0].config == SHAPED.default


def test_all_shapes_of_a_small_space_are_found_and_no_more() -> None:
    modes = Choice(("a", "b", "c"), default="a", group="model", is_static=True, weights=(0.9, 0.05, 0.05))
    space = Space({"mode": modes, **PLAIN.parameters})
    for seed in range(20):
        assert {str(shape["mode"]) for shape in draw_shapes(space, seed, 3, False)} == {"a", "b", "c"}
    with pytest.raises(ValueError, match="num_shapes: 4 different draws of mode were not found"):
        draw_shapes(space, 1, 4, False)


def test_agents_are_copied_among_those_of_one_shape_only() -> None:
    run = Loop(search(num_episodes=12), SyntheticAgent(PLAIN), lanes=5).run()
    segments = issued(run.log)
    copies = [segment for segment in segments.values() if segment.origin == "copy"]
    assert {segment.config["width"] for segment in copies} == set(widths(run.tuner))
    for segment in copies:
        assert segment.parent is not None
        assert segments[segment.parent].config["width"] == segment.config["width"]
    assert {segment.trial for segment in segments.values()} == set(range(12))


def test_each_population_is_what_it_would_be_alone() -> None:
    """Told what happened to the others or not, shape 1 goes the same way; and no two begin with the same configs."""
    run = Loop(search(num_episodes=6), SyntheticAgent(PLAIN), lanes=5).run()
    alone = search(num_episodes=6)
    tell_all(alone, [event for event in run.log if _trial(event) % 3 == 1])
    assert alone.state()["tuners"][1] == run.tuner.state()["tuners"][1]
    first = [tuner["segments"][0]["segment"]["config"] for tuner in run.tuner.state()["tuners"]]
    assert first[0] != first[1] != first[2]


def _trial(event: Any) -> int:
    match event:
        case Issued(segment):
            return segment.trial
        case Reported(report):
            return int(report.segment.partition(".")[0])
        case Voided(voided):
            return int(voided.partition(".")[0])
    raise AssertionError(event)


def test_shapes_are_asked_in_order_and_fill_each_others_lanes() -> None:
    """The members of shape 0 first; when it waits for its last one, those of shape 1."""
    tuner = search(num_shapes=2)
    assert [segment.trial for segment in tuner.ask(6)] == [0, 2, 4, 6, 1, 3]


def test_all_members_are_ranked_together() -> None:
    """By score, whatever their shape; ties: the older trial."""
    tuner = search(num_shapes=2, population=2, num_episodes=1)
    scores = {0: 1.0, 1: 4.0, 2: 3.0, 3: 4.0}
    for segment in tuner.ask(4):
        tell_all(tuner, [Issued(segment), Reported(constant(segment, scores[segment.trial]))])
    assert tuner.is_done
    assert tuner.ranking() == ["1.0", "3.0", "2.0", "0.0"]


def test_conditions_on_static_values_are_kept() -> None:
    """What a shape rules out is at its default in all of its members' configs, and varies in the others'."""
    run = Loop(search(4, space=RICH_SHAPED), SyntheticAgent(PLAIN_OF_RICH)).run()
    slopes: dict[Any, set[Any]] = {"relu": set(), "swish": set()}
    for segment in issued(run.log).values():
        RICH_SHAPED.check(segment.config)
        slopes[segment.config["activation"]].add(segment.config["slope"])
    assert slopes["swish"] == {0.1}
    assert len(slopes["relu"]) > 4


PLAIN_OF_RICH = RICH_SHAPED.only(["num_epochs"])


def test_a_log_of_other_shapes_is_refused() -> None:
    tuner = search()
    segment = tuner.ask(1)[0]
    with pytest.raises(ValueError, match=r"segment 0\.0 was issued with width 77; its shape has"):
        tuner.tell(Issued(dataclasses.replace(segment, config={**segment.config, "width": 77})))
    for each in tuner.ask(12):
        tell_all(tuner, [Issued(each), Reported(constant(each, 1.0))])
    assert [segment.trial for segment in tuner.ask(1)] == [0]
    stranger = dataclasses.replace(tuner.ask(1)[0], sources=Sources.whole(segment_id(1, 0)))
    with pytest.raises(ValueError, match=r"segment 0\.1 starts from 1\.0, which has another shape"):
        tuner.tell(Issued(stranger))


@pytest.mark.parametrize(
    ("space", "settings", "message"),
    [
        (PLAIN, {"num_shapes": 2}, "no hyperparameter of the space is static"),
        (SHAPED, {"num_shapes": 0}, "num_shapes must be at least 1, got 0"),
        (SHAPED, {"num_shapes": 2.0}, "num_shapes must be of type int, got 2.0"),
        (SHAPED, {"num_shape": 2}, "no setting 'num_shape': did you mean 'num_shapes'"),
        (Space({"width": WIDTH}), {"num_shapes": 2}, "with width = .* nothing is left to change while agents train"),
    ],
)
def test_what_makes_no_sense_is_refused(space: Space, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^tuner 'pbt': .*{message}"):
        make_tuner("pbt", settings, space, 1, 4)


def test_static_tuners_have_no_shapes_of_their_own() -> None:
    with pytest.raises(ValueError, match="no setting 'num_shapes'"):
        make_tuner("random-search", {"num_shapes": 2}, SHAPED, 1, 4)


def test_a_real_static_value_may_differ_in_its_last_bit() -> None:
    """As another machine's logarithm may give it."""
    space = Space(
        {"rate": Float(1e-4, 1e-1, log=True, default=1e-3, group="model", is_static=True), **PLAIN.parameters}
    )
    tuner = search(space=space)
    segment = tuner.ask(1)[0]
    config = {**segment.config, "rate": float(segment.config["rate"]) * (1 + 3e-16)}
    tuner.tell(Issued(dataclasses.replace(segment, config=config)))
