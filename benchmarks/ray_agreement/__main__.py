"""Compare Cartwheel's PBT and Hyperband with Ray Tune's, decision by decision: see README.md."""

import argparse
import json
import subprocess
import sys
import tempfile
import textwrap
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ray_agreement.compare import Row, compare

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MAX_WIDTH = 120

GOLDEN_BUDGETS = (1, 2, 3, 5, 6, 9, 10, 16, 27, 64, 81, 100, 243, 300, 729)


def observe(folder: Path) -> dict[str, Any]:
    """What Ray decides, in an environment of its own, which is made where it is missing."""
    python = folder.absolute() / "bin" / "python"
    if not python.is_file():
        print(f"installing Ray Tune into {folder}", flush=True)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt"], check=True)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "observed.json"
        subprocess.run(
            [python, "-m", "benchmarks.ray_agreement.observe", path], cwd=ROOT, check=True, stderr=subprocess.DEVNULL
        )
        observed: dict[str, Any] = json.loads(path.read_text())
    return observed


def page(rows: Sequence[Row], versions: Mapping[str, str]) -> str:
    """The table as Markdown, then every disagreement with its reason."""
    intro = (
        f"Made by `python -m benchmarks.ray_agreement` with Ray {versions['ray']}, NumPy {versions['numpy']} and "
        f"Python {versions['python']}: Ray's `PopulationBasedTraining` with its defaults beside our `pbt` with "
        '`preset = "ray"`, and its `HyperBandScheduler` beside our `hyperband`. Ray\'s schedulers were driven on '
        "made-up scores without a cluster; one synchronous run is of Tune itself. Counts are cases decided alike."
    )
    reasons = [f"- **{', '.join(row.topic.split(': ', 1))}.** {row.reason}" for row in rows if row.reason]
    lines = ["# Agreement with Ray Tune", "", *_wrapped(intro), "", "| decision | alike | of |", "|---|--:|--:|"]
    lines += [f"| {row.topic} | {row.num_equal:,} | {row.num:,} |" for row in rows]
    lines += ["", "## Where they differ, and why", "", *(line for reason in reasons for line in _wrapped(reason))]
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> list[str]:
    indent = "  " if text.startswith("- ") else ""
    return textwrap.wrap(text, MAX_WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def golden(observed: Mapping[str, Any]) -> dict[str, Any]:
    """A part that is small enough for the test suite."""
    quantiles, moved = observed["quantiles"], observed["perturbations"]
    return {
        **observed,
        "quantiles": {
            **quantiles,
            "distinct": [case for case in quantiles["distinct"][::7] if len(case["scores"]) < 25],
        },
        "perturbations": {**moved, "int": moved["int"][:40]},
        "generations": observed["generations"][:3],
        "policies": observed["policies"][::12],
        "brackets": [case for case in observed["brackets"] if case["max_t"] in GOLDEN_BUDGETS],
        "hyperband_runs": observed["hyperband_runs"][:2],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv-ray", help="Ray's environment")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "ray-agreement.md")
    parser.add_argument("--golden", type=Path, help="also write the part that the tests use")
    chosen = parser.parse_args()
    observed = observe(chosen.venv)
    rows = compare(observed)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(page(rows, observed["versions"]), encoding="utf-8")
    if chosen.golden:
        chosen.golden.write_text(json.dumps(golden(observed)) + "\n", encoding="utf-8")
    unexplained = [row.topic for row in rows if row.num_equal < row.num and not row.reason]
    print("\n".join([f"wrote {chosen.out}", *(f"differs without a reason: {topic}" for topic in unexplained)]))
    return bool(unexplained)


if __name__ == "__main__":
    sys.exit(main())
