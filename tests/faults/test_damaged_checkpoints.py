"""Checkpoint files damaged at random: always found out, never used, and mended from the newest good ancestor."""

from pathlib import Path

import numpy as np
import pytest

from cartwheel.checking import check, check_and_repair
from cartwheel.store.checkpoints import CheckpointStore
from cartwheel.store.run_folder import RunFolder
from damage import Damage, copied, cut, flip, remove, results, run, stopped_after, swap, zero
from faults import count

DAMAGES: tuple[Damage, ...] = (flip, cut, swap, remove, zero)
STOPS = (3, 5, 7, 100)
"""After so many looks at the executor; the last is the study's end."""


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return stopped_after(STOPS, tmp_path_factory.mktemp("stopped"))


def needed(run_dir: Path) -> list[str]:
    with RunFolder.to_read(run_dir) as folder:
        return [file.digest for file in folder.read.files()]


def test_damaged_checkpoints_are_found_out_and_mended(stopped: list[Path], tmp_path: Path) -> None:
    """Whatever happens to up to three files, at any moment of the study.

    ``check`` names exactly the damaged ones and changes nothing; the study resumed, checked, repaired and resumed once
    more ends like one that nothing happened to, with every file as its name says.
    """
    whole = results(stopped[-1])
    for case in range(count(ci=100, long=1000)):
        rng = np.random.default_rng((1, case))
        run_dir = copied(stopped[rng.integers(len(stopped))], tmp_path / str(case))
        chosen = [str(digest) for digest in rng.choice(needed(run_dir), rng.integers(1, 4), replace=False)]
        for digest in chosen:
            path = run_dir / "checkpoints" / f"{digest}.safetensors"
            before = path.read_bytes()
            DAMAGES[rng.integers(len(DAMAGES))](path, rng)
            if path.exists() and path.read_bytes() == before:
                chosen.remove(digest)  # zeros in the place of zeros
        found = check(run_dir)
        assert found.examination.bad_files.keys() == set(chosen), f"case {case}"
        assert check(run_dir).examination.bad_files.keys() == set(chosen)
        run(run_dir)
        assert check_and_repair(run_dir).examination.bad_files.keys() <= set(chosen)
        run(run_dir)
        assert results(run_dir) == whole, f"case {case}"
        store = CheckpointStore(run_dir / "checkpoints")
        for digest in store.digests():
            store.verify(digest)
