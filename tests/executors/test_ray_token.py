"""A Ray cluster with a token (https://docs.ray.io/en/latest/ray-security/token-auth.html) takes who has it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

pytest.importorskip("ray")

from cartwheel.executors.processes import environment

pytestmark = pytest.mark.slow  # a cluster of its own, and three that want to join: half a minute
CREW = """
import os, sys
from pathlib import Path
import ray
from cartwheel.errors import CartwheelError
from cartwheel.executors.ray import RayActors
from cartwheel.store.checkpoints import CheckpointStore
from synthetic_lanes import recipe

address = sys.argv[2] if len(sys.argv) > 2 else None
try:
    crew = RayActors(recipe(), CheckpointStore(Path(sys.argv[1])), 1, 1, address)
except CartwheelError as error:
    sys.exit(f"refused: {error}")
print(ray.get_runtime_context().gcs_address, flush=True)
if address is None:
    sys.stdin.readline()
crew.close()
"""
OURS, ANOTHER = "0123456789abcdef" * 2, "f" * 32


def crew(folder: Path, token: str | None, *address: str) -> subprocess.Popen[str]:
    """A process that starts a cluster, or joins the one at an address."""
    about = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {}
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    tests = str(Path(__file__).parents[1])
    path = os.pathsep.join([tests, environment()["PYTHONPATH"]])
    return subprocess.Popen(
        [sys.executable, "-c", CREW, str(folder), *address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**own, **about, "PYTHONPATH": path},
    )


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Of a cluster that was started with our token, by a study that was given no address."""
    process = crew(tmp_path, OURS)
    out: IO[str] | None = process.stdout
    assert out is not None
    yield out.readline().strip()
    process.communicate("end\n", timeout=60)


def test_a_token_is_honoured(address: str, tmp_path: Path) -> None:
    """Who has the cluster's token joins it; who has another one, or none, is refused with one line."""
    joining = {token: crew(tmp_path, token, address) for token in (OURS, ANOTHER, None)}
    out, _ = joining[OURS].communicate(timeout=120)
    assert (joining[OURS].returncode, out.strip()) == (0, address)
    for token in (ANOTHER, None):
        _, err = joining[token].communicate(timeout=120)
        assert joining[token].returncode == 1
        assert "refused: cannot use the Ray cluster" in err
        assert "RAY_AUTH_TOKEN" in err
