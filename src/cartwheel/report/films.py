"""The films of a run folder on its report: within the page where they are small, else from the file beside it."""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

from cartwheel.report.html import Html, paragraph, text

VIDEOS_FOLDER = "videos"
MAX_EMBEDDED_BYTES = 6 * 2**20
"""A page with a few films of this size still opens at once; a larger film is shown only where its file is."""


def films_of(folder: Path) -> list[Path]:
    """The films that ``cartwheel video`` has made of a run folder, by name."""
    return sorted((folder / VIDEOS_FOLDER).glob("[!.]*.mp4"))


def body(films: Sequence[Path]) -> Iterator[Html]:
    """Every film with its name."""
    yield paragraph(
        "Above each picture stand the return so far, the speed of the centre of mass, and in red what was noted about "
        "physics up to there."
    )
    for film in films:
        name = text(film.stem.replace("-", " "))
        yield Html(
            f'<figure><video controls loop muted playsinline preload="metadata" src="{_source(film)}" '
            f'aria-label="{name}"></video><figcaption>{name}</figcaption></figure>'
        )


def _source(film: Path) -> Html:
    if film.stat().st_size > MAX_EMBEDDED_BYTES:
        return text(f"{VIDEOS_FOLDER}/{film.name}")
    return Html(f"data:video/mp4;base64,{base64.b64encode(film.read_bytes()).decode()}")
