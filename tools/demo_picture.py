"""Draws the README's picture from a finished `make demo`: learning curves above, hyperparameters over episodes below.

python tools/demo_picture.py runs/demo docs/images/demo.svg
"""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from cartwheel.analysis.load import load_tables
from cartwheel.comparing import load_comparison
from cartwheel.report import figures
from cartwheel.report.style import PAPER, SVG, to_svg
from cartwheel.results import Study
from cartwheel.spec import parse_spec


def stacked(drawings: dict[str, str]) -> str:
    """Stand-alone SVG documents by name, one below the other, in one document."""
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    parts = {name: ET.fromstring(drawing) for name, drawing in drawings.items()}
    sizes = {name: [float(x) for x in part.get("viewBox", "").split()[2:]] for name, part in parts.items()}
    width, height = max(w for w, _ in sizes.values()), sum(h for _, h in sizes.values())
    page = ET.Element(
        f"{{{SVG}}}svg", {"viewBox": f"0 0 {width:g} {height:g}", "width": f"{width:g}pt", "height": f"{height:g}pt"}
    )
    ET.SubElement(page, f"{{{SVG}}}rect", {"width": "100%", "height": "100%", "fill": PAPER})
    below = 0.0
    for name, part in parts.items():
        part_width, part_height = sizes[name]
        for element in part.iter():
            # what refers to an id of matplotlib's refers to one salted with the name; the others only name groups
            if element.tag == f"{{{SVG}}}g" and "id" in element.attrib:
                del element.attrib["id"]
        part.attrib.update({"y": f"{below:g}", "width": f"{part_width:g}", "height": f"{part_height:g}"})
        page.append(part)
        below += part_height
    return ET.tostring(page, encoding="unicode") + "\n"


def main(run_dir: Path, out: Path) -> None:
    tables = load_tables(run_dir)
    comparison = load_comparison(Study(run_dir), parse_spec(tables.settings, {}))
    ceiling = comparison.ceiling.mean if comparison is not None and comparison.ceiling is not None else None
    curves, schedules = figures.learning_curves(tables, ceiling), figures.hyperparameters(tables)
    drawings = {"demo-curves": curves, "demo-hyperparameters": schedules}
    out.write_text(stacked({name: to_svg(figure, name) for name, figure in drawings.items()}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
