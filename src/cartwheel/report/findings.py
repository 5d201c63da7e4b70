"""What a comparison has found: an exhibit in several sentences, with a table below it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from cartwheel.analysis.frames import frame
from cartwheel.analysis.statistics import Interval
from cartwheel.report.exhibits import Draw, Exhibit
from cartwheel.report.html import Html, paragraph, section, table
from cartwheel.report.page import embedded

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """``rows``: the figure's numbers, columns by name. ``shown``: a table for the page, its header first."""

    name: str
    title: str
    sentences: tuple[str, ...]
    draw: Draw
    rows: Sequence[Row]
    shown: Sequence[Sequence[str]] = ()

    @property
    def exhibit(self) -> Exhibit:
        """What is written as files."""
        return Exhibit(self.name, self.title, " ".join(self.sentences), self.draw, frame(self.rows))


def sections(findings: Sequence[Finding]) -> Iterator[Html]:
    """One section each: sentences, figure, table."""
    for finding in findings:
        body = [*map(paragraph, finding.sentences), embedded(finding.exhibit)]
        if finding.shown:
            header, *rows = finding.shown
            body.append(table(header, rows))
        yield section(finding.title, body)


def ends(interval: Interval | None, prefix: str = "") -> dict[str, float | None]:
    """An interval as columns of a table."""
    if interval is None:
        return {f"{prefix}point": None, f"{prefix}low": None, f"{prefix}high": None}
    return {f"{prefix}point": interval.point, f"{prefix}low": interval.low, f"{prefix}high": interval.high}
