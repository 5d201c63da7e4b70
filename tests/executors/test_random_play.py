"""How long random actions go on."""

import contextlib
from collections.abc import Iterable

import pytest

from cartwheel.envs.pool import EnvironmentFailed, make_env
from cartwheel.envs.tasks import get_task
from cartwheel.executors.random_play import NUM_EPISODES, random_length
from cartwheel.records import Episode


def test_whoever_cannot_fall_goes_on_to_the_end() -> None:
    with contextlib.closing(make_env(get_task("line"))) as env:
        assert random_length(env) == env.task.episode_length


def test_a_hopper_falls_soon() -> None:
    """Its random episodes last some twenty steps."""
    with contextlib.closing(make_env(get_task("Hopper-v5"))) as env:
        assert 5 < random_length(env) < 100


@pytest.mark.parametrize(("lengths", "expected"), [([4, None, 8, None, 6], 6.0), ([None] * NUM_EPISODES, 30.0)])
def test_broken_episodes_do_not_count(
    lengths: Iterable[int | None], expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all break, nothing is known, and the full length is assumed."""
    coming = iter(lengths)

    def played(*_: object) -> Episode:
        if (length := next(coming)) is None:
            raise EnvironmentFailed("it broke")
        return Episode(0, 0.0, length)

    monkeypatch.setattr("cartwheel.executors.random_play.play_episode", played)
    with contextlib.closing(make_env(get_task("line"))) as env:
        assert random_length(env) == expected
