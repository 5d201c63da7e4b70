"""Videos: every picture is there, captioned, in a file that browsers play."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cartwheel.errors import UsageError
from cartwheel.report import films
from cartwheel.report.video import Caption, caption_height, captioned, side_by_side, write_film

av = pytest.importorskip("av", reason="videos need the extra `video`")
RED, BLUE = (220, 30, 30), (30, 30, 220)


def plain(colour: tuple[int, int, int], width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def test_browsers_play_it_and_every_picture_is_there(tmp_path: Path) -> None:
    """H.264 with 4:2:0 colours, the index first; 12 pictures of 20 a second, from red to blue."""
    path = write_film(tmp_path / "new" / "film.mp4", [plain(RED)] * 6 + [plain(BLUE)] * 6, 20.0)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 20
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(pictures) == 12
    assert np.abs(pictures[0].mean((0, 1)) - RED).max() < 12
    assert np.abs(pictures[-1].mean((0, 1)) - BLUE).max() < 12
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert list(path.parent.iterdir()) == [path]


def test_an_animated_picture_has_every_picture_at_its_pace(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.webp", [plain(RED)] * 2 + [plain(BLUE)], 20.0)
    with Image.open(path) as animated:
        assert (animated.format, animated.n_frames, animated.info["loop"]) == ("WEBP", 2, 0)  # equal ones are one
        durations = []
        for number in range(animated.n_frames):
            animated.seek(number)
            animated.load()
            durations.append(animated.info["duration"])
        assert np.abs(np.asarray(animated.convert("RGB")).mean((0, 1)) - BLUE).max() < 12
    assert durations == [100, 50]


def test_another_kind_of_film_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"end its name in \.mp4 or \.webp"):
        write_film(tmp_path / "film.gif", [plain(RED)], 20.0)


def test_a_film_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def failing():  # type: ignore[no-untyped-def]
        yield plain(RED)
        raise UsageError("as asked")

    with pytest.raises(UsageError, match="as asked"):
        write_film(tmp_path / "film.mp4", failing(), 20.0)
    assert list(tmp_path.iterdir()) == []


def test_the_caption_stands_above_the_picture_and_an_alarm_is_red() -> None:
    quiet = captioned(plain(RED, 200), Caption(("a title", "return 3")))
    loud = captioned(plain(RED, 200), Caption(("a title", "return 3"), "BADQACC"))
    bar_px = caption_height(2)
    assert quiet.shape == loud.shape == (48 + bar_px, 200, 3)
    assert bar_px % 2 == 0
    assert np.array_equal(quiet[bar_px:], plain(RED, 200))
    differs = np.any(quiet != loud, axis=2)
    assert differs.any()
    reddest = loud[differs][np.argmin(loud[differs][:, 2])].astype(int)
    assert reddest[0] > reddest[2] + 80


def test_side_by_side_the_shorter_film_stays_at_its_last_picture() -> None:
    both = list(side_by_side([[plain(RED)] * 3, [plain(RED), plain(BLUE)]]))
    assert [picture.shape for picture in both] == [(48, 128, 3)] * 3
    assert tuple(both[2][0, 100]) == BLUE


def test_small_films_are_in_the_page_and_large_ones_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "best.mp4").write_bytes(b"x" * 30)
    (tmp_path / "videos" / ".half.mp4").write_bytes(b"")
    assert "base64,eHh4" in "".join(films.body(films.films_of(tmp_path)))
    monkeypatch.setattr(films, "MAX_EMBEDDED_BYTES", 10)
    assert 'src="videos/best.mp4"' in "".join(films.body(films.films_of(tmp_path)))
