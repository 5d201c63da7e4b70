"""The notebooks run from top to bottom, and what they show is there."""

import json
import os
import subprocess
import sys
from pathlib import Path

from cartwheel.tuning import Running, tune
from documents import ROOT
from synthetic_executor import SyntheticBackend, small_spec

NOTEBOOKS = ROOT / "docs" / "notebooks"
EXECUTE = """
import sys, nbformat, nbclient
notebook = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
nbformat.write(notebook, "executed.ipynb")
"""


def execute(text: str, folder: Path) -> list[str]:
    """The MIME types that each code cell's last output came in, as one text per cell."""
    (folder / "notebook.ipynb").write_text(text)
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "PYTEST_"))}
    ended = subprocess.run(
        [sys.executable, "-c", EXECUTE, "notebook.ipynb"],
        cwd=folder,
        env={**mine, "IPYTHONDIR": str(folder / "ipython")},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    cells = json.loads((folder / "executed.ipynb").read_text())["cells"]
    outputs = [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]
    return [" ".join(output[-1].get("data", {})) if output else "" for output in outputs]


def test_a_study_is_read(tmp_path: Path) -> None:
    """The study shows itself as HTML, its figures as SVG."""
    tune(small_spec(), tmp_path / "runs" / "demo", Running(backend=SyntheticBackend()))
    shown = execute((NOTEBOOKS / "read-a-study.ipynb").read_text(), tmp_path)
    assert "text/html" in shown[0]
    assert "image/svg+xml" in shown[2]


def test_an_environment_of_ones_own_is_tuned(tmp_path: Path) -> None:
    """As it is written, but for one trial of one short episode."""
    text = (NOTEBOOKS / "tune-your-own.ipynb").read_text()
    for long, short in {
        "num_episodes=6": 'num_episodes=1, validation={\\"num_episodes\\": 0}',
        "episode_length=60": "episode_length=8",
        '\\"pbt\\", \\"population\\": 4': '\\"random-search\\", \\"num_trials\\": 1',
    }.items():
        assert text.count(long) == 1
        text = text.replace(long, short)
    shown = execute(text, tmp_path)
    assert "text/html" in shown[1]
    assert "image/svg+xml" in shown[3]
