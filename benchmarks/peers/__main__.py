"""Run both sides in turns and write what came out.

    python -m benchmarks.peers --out docs/results/peers.csv

The page goes beside the table. mbrl-lib gets an environment of its own, which is made where it is missing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.cases import CASES, TINY
from benchmarks.peers.summary import OURS, SIDES, THEIRS, Row, page
from benchmarks.rows import write

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MBRL = "mbrl==0.2.0"
MODULES = {THEIRS: "benchmarks.peers.mbrl_side", OURS: "benchmarks.peers.cartwheel_side"}


def peers_python(folder: Path) -> Path:
    """The Python of mbrl-lib's environment."""
    python = folder.absolute() / "bin" / "python"
    if not python.is_file():
        print(f"installing mbrl-lib into {folder}", flush=True)
        venv.create(folder, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, "-r", str(HERE / "requirements.txt")], check=True)
        subprocess.run([*install, "--no-deps", MBRL], check=True)
    return python


def run(python: Path, side: str, case: str, seed: int) -> tuple[list[Row], Mapping[str, Any]]:
    """One training: its rows, and versions and threads."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        command = [str(python), "-m", MODULES[side], case, str(seed), str(out)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if ended.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{ended.stderr}")
        found = json.loads(out.read_text())
    named = {"case": case, "side": side, "seed": seed}
    rows: list[Row] = [{**named, **_renamed(episode), "setup_s": found["setup_s"]} for episode in found["episodes"]]
    print(f"{case} {side} seed {seed}: last return {rows[-1]['return']:.4g}", flush=True)
    return rows, found["about"]


def _renamed(episode: Mapping[str, Any]) -> dict[str, Any]:
    return {name.rstrip("_"): round(value, 6) if isinstance(value, float) else value for name, value in episode.items()}


def publish(rows: Sequence[Row], about: Mapping[str, Any], load: Sequence[float], out: Path) -> None:
    """The table and its page."""
    out.parent.mkdir(parents=True, exist_ok=True)
    write(out, rows)
    facts = [
        f"Processes took turns on a shared machine with {os.cpu_count()} cores, so that\nonly ratios say something;",
        f"its load was {load[0]:.1f} at the beginning and {load[1]:.1f} at the end, these runs included.\n",
        "Installed: " + ", ".join(f"{name} {value}" for name, value in about.items()) + ".",
    ]
    out.with_suffix(".md").write_text(page(rows, facts), encoding="utf-8")
    print(f"wrote {out} and {out.with_suffix('.md')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "peers.csv")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv-peers", help="mbrl-lib's environment")
    parser.add_argument("--cases", nargs="+", choices=[*CASES, TINY.name], default=list(CASES))
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each")
    chosen = parser.parse_args()
    pythons = {THEIRS: peers_python(chosen.venv), OURS: Path(sys.executable)}
    rows: list[Row] = []
    about: dict[str, Any] = {}
    load = [os.getloadavg()[0]]
    for case in chosen.cases:
        for seed in range(chosen.seeds):
            # who goes first changes, so that neither always has the quieter half of a minute
            for side in SIDES if seed % 2 == 0 else SIDES[::-1]:
                found, versions = run(pythons[side], side, case, seed)
                rows += found
                about |= versions
    publish(rows, about, [*load, os.getloadavg()[0]], chosen.out)


if __name__ == "__main__":
    main()
