"""Pictures without a screen: the episode that was recorded, seen again."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from cartwheel.envs import rendering
from cartwheel.envs.pool import make_env
from cartwheel.envs.rendering import Recipe, find_gl, frames, frames_per_s, stride_of
from cartwheel.envs.tasks import LINE, PETS_HALFCHEETAH, PETS_HOPPER
from cartwheel.errors import UsageError

SIZE = (96, 64)


def has_gl() -> bool:
    try:
        find_gl()
    except UsageError:
        return False
    return True


needs_gl = pytest.mark.skipif(not has_gl(), reason="neither EGL nor OSMesa works on this machine")


def episode(num_steps: int = 25) -> tuple[Recipe, float]:
    """A cheetah under random commands, and its return."""
    env, rng = make_env(PETS_HALFCHEETAH), np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (num_steps, 6)).astype(np.float32)
    env.reset(5)
    total = sum(env.step(action)[1] for action in actions)
    return Recipe(PETS_HALFCHEETAH, 5, actions), total


@needs_gl
def test_the_film_shows_the_very_episode() -> None:
    """Its return to the last bit, though drawn; pictures are not blank, and what moves is seen to move."""
    recipe, total = episode()
    shown = list(frames(recipe, SIZE, range(1, 26)))
    assert [frame.step for frame in shown] == list(range(1, 26))
    assert shown[-1].total == total
    assert all(frame.pixels.shape == (64, 96, 3) and frame.pixels.std() > 10 for frame in shown)
    assert np.abs(shown[0].pixels.astype(int) - shown[-1].pixels).mean() > 1
    assert shown[-1].num_turns == 0
    assert shown[-1].speed_m_s is not None


@needs_gl
def test_the_moment_of_a_break_is_shown_with_its_reason() -> None:
    """Only the steps that were asked for, from the one before the alarm on."""
    recipe, _ = episode()
    strict = dataclasses.replace(PETS_HALFCHEETAH.plausible, speed_m_s=0.0)
    task = dataclasses.replace(PETS_HALFCHEETAH, plausible=strict)
    shown = list(frames(dataclasses.replace(recipe, task=task), SIZE, range(10, 14)))
    assert [frame.step for frame in shown] == [10, 11, 12, 13]
    assert {frame.kinds for frame in shown} == {("speed_out_of_bounds",)}


def test_films_run_at_the_speed_of_life() -> None:
    """A cheetah's step lasts 50 ms, a hopper's 8 ms: of these every fourth is shown."""
    assert (stride_of(PETS_HALFCHEETAH), frames_per_s(PETS_HALFCHEETAH)) == (1, pytest.approx(20.0))
    assert (stride_of(PETS_HOPPER), frames_per_s(PETS_HOPPER)) == (4, pytest.approx(31.25))


def test_without_opengl_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failed:
        returncode = 1

    def failing(*_: Any, **__: Any) -> Failed:
        return Failed()

    find_gl.cache_clear()
    monkeypatch.setattr(rendering.subprocess, "run", failing)
    with pytest.raises(UsageError, match=r"libegl1 .* libosmesa6"):
        find_gl()
    find_gl.cache_clear()


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(UsageError, match="line cannot be drawn"):
        next(iter(frames(Recipe(LINE, 0, np.zeros((3, 1), np.float32)), SIZE, range(1, 4))))
