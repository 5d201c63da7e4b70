"""What docs/choosing.md shows: the written results, as tables between its markers."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.synthetic_curves.figure import write_figure
from benchmarks.synthetic_curves.gates import Gate, write_gates
from benchmarks.synthetic_curves.summary import Line, write_summary

SCENARIOS = {
    "none-low-off": "none, low, off",
    "moderate-low-off": "moderate, low, off",
    "strong-low-off": "strong, low, off",
    "none-low-common": "none, low, common",
    "moderate-high-off": "moderate, high, off",
}
"""Those that the guide shows, and the heads of their columns."""


def publish(lines: Sequence[Line], gates: Sequence[Gate], docs: Path) -> None:
    """Write the results, the figure, and the tables of the guide."""
    write_summary(lines, docs / "results/synthetic-curves.csv")
    write_gates(gates, docs / "results/synthetic-gates.csv")
    write_figure(lines, docs / "images/synthetic-curves.svg")
    (docs / "choosing.md").write_text(filled_guide(docs))


def filled_guide(docs: Path) -> str:
    """The guide, its tables made from the written results."""
    text = (docs / "choosing.md").read_text()
    tables = {"finals": _finals(_entries(docs / "results/synthetic-curves.csv"))}
    tables["gates"] = _gates(_entries(docs / "results/synthetic-gates.csv"))
    for name, table in tables.items():
        text = re.sub(rf"(<!-- {name}:.*?-->\n).*?(\n<!-- end -->)", rf"\g<1>\n{table}\g<2>", text, flags=re.DOTALL)
    return text


def _entries(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _finals(entries: Sequence[dict[str, str]]) -> str:
    by_name = {(entry["scenario"], entry["arm"]): entry for entry in entries}
    rows = []
    for arm in dict.fromkeys(entry["arm"] for entry in entries):
        found = [by_name.get((scenario, arm)) for scenario in SCENARIOS]
        num_seeds = min(int(entry["num_seeds"]) for entry in found if entry)
        rows.append([f"`{arm}`", *map(_final, found), str(num_seeds)])
    return _table(["", *SCENARIOS.values(), "seeds"], rows)


def _final(entry: dict[str, str] | None) -> str:
    if entry is None:
        return ""
    final, high = float(entry["final"]), float(entry["final_high"])
    return f"{final:.1f} ±{high - final:.1f}"


def _gates(entries: Sequence[dict[str, str]]) -> str:
    rows = [[e["gate"], e["found"], f"{e['low']} to {e['high']}", e["num_seeds"], e["holds"]] for e in entries]
    return _table(["gate", "found", "95% interval", "seeds", "holds"], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; numbers stand right."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [heads, ["---", *["--:"] * (len(heads) - 1)], *rows])
