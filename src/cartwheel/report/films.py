"""The films of a run folder on its report: within the page where they are small, else from the file beside it."""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

from cartwheel.records import SegmentId
from cartwheel.report.html import Html, paragraph, text

VIDEOS_FOLDER = "videos"
MAX_EMBEDDED_BYTES = 6 * 2**20
"""A page with a few films of this size still opens at once; a larger film is shown only where its file is."""


def films_of(folder: Path) -> list[Path]:
    """The films that ``cartwheel video`` has made of a run folder, by name."""
    return sorted((folder / VIDEOS_FOLDER).glob("[!.]*.mp4"))


def moment_name(segment: SegmentId, index: int, is_evaluation: bool = False) -> str:
    """What a film is called, without its suffix, that shows where physics broke in an episode of a segment."""
    return f"moment-of-{segment}-{'evaluation' if is_evaluation else 'episode'}-{index}"


def body(films: Sequence[Path]) -> Iterator[Html]:
    """Every film with its name, and what stands above its pictures."""
    yield paragraph(
        "Above each picture stand the return so far, the speed of the centre of mass, and in red what was noted about "
        "physics up to there."
    )
    yield from map(figure, films)


def figure(film: Path) -> Html:
    """A film with its name, which is also what links within the page lead to."""
    name = text(film.stem.replace("-", " "))
    return Html(
        f'<figure id="{text(film.stem)}"><video controls loop muted playsinline preload="metadata" '
        f'src="{_source(film)}" aria-label="{name}"></video><figcaption>{name}</figcaption></figure>'
    )


def _source(film: Path) -> Html:
    if film.stat().st_size > MAX_EMBEDDED_BYTES:
        return text(f"{VIDEOS_FOLDER}/{film.name}")
    return Html(f"data:video/mp4;base64,{base64.b64encode(film.read_bytes()).decode()}")
