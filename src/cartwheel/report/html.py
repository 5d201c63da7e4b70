"""Small pieces of HTML. Whatever comes in as text goes out escaped; only ``Html`` is trusted."""

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NewType

Html = NewType("Html", str)
"""Markup that is finished: built from literals and escaped text."""


@dataclass(frozen=True, slots=True)
class Link:
    """A cell of a table that leads to the element of the page with this id."""

    label: str
    target: str


def text(value: object) -> Html:
    """Any value as escaped text."""
    return Html(html.escape(str(value)))


def document(name: str, about: str, style: str, body: Iterable[Html]) -> str:
    """A whole page that needs nothing else: ``name`` is its heading, ``about`` the line below it."""
    header = f"<header>\n<h1>{text(name)}</h1>\n{paragraph(about, 'about')}\n</header>\n<main>"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(name)} - Cartwheel report</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"{joined([Html(header), *body, Html('</main>')])}\n</body>\n</html>\n"
    )


def joined(parts: Iterable[Html]) -> Html:
    """Parts below each other."""
    return Html("\n".join(parts))


def paragraph(sentence: str, css_class: str = "") -> Html:
    """One paragraph of plain text."""
    attribute = f' class="{css_class}"' if css_class else ""
    return Html(f"<p{attribute}>{text(sentence)}</p>")


def section(title: str, body: Iterable[Html]) -> Html:
    """A section under a heading."""
    return Html(f"<section>\n<h2>{text(title)}</h2>\n{joined(body)}\n</section>")


def table(header: Sequence[str], rows: Iterable[Sequence[str | Link]], css_class: str = "") -> Html:
    """A table that scrolls within itself where it is too wide; the first column names the row."""
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in header)
    body = "\n".join(
        f'<tr><th scope="row">{_cell(first)}</th>' + "".join(f"<td>{_cell(cell)}</td>" for cell in rest) + "</tr>"
        for first, *rest in rows
    )
    head_row = f"<thead><tr>{head}</tr></thead>\n" if header else ""
    rows_of_cells = f'<table class="{css_class}">\n{head_row}<tbody>\n{body}\n</tbody></table>'
    return Html(f'<div class="scroll" tabindex="0">{rows_of_cells}</div>')


def _cell(value: str | Link) -> Html:
    return Html(f'<a href="#{text(value.target)}">{text(value.label)}</a>') if isinstance(value, Link) else text(value)


def download(label: str, file_name: str, content: str) -> Html:
    """A link to a file that the page itself holds, so that it opens offline."""
    encoded = base64.b64encode(content.encode()).decode()
    return Html(
        f'<a download="{text(file_name)}" href="data:text/csv;charset=utf-8;base64,{encoded}">{text(label)}</a>'
    )


def tiles(numbers: Iterable[tuple[str, str]]) -> Html:
    """Key numbers: (value, what it is)."""
    items = "\n".join(f"<div><dt>{text(label)}</dt><dd>{text(value)}</dd></div>" for value, label in numbers)
    return Html(f'<dl class="tiles">\n{items}\n</dl>')
