"""Running a suite: every study, its tests and transfers, one after the other, resumable as one.

    FOLDER/suite.toml                the suite as it was begun
    FOLDER/studies/TASK/ARM/SEED/    a run folder each, and what was tested under tests/
    FOLDER/transfers/                what was moved between tasks
    FOLDER/evidence.html             the page, its figures and tables

A suite may grow: more tuner seeds, tasks or arms add studies to those that are there. What changes a study that was
begun is refused by that study's own folder.
"""

from pathlib import Path

from cartwheel.analysis.evidence import Compared
from cartwheel.errors import AllTrialsFailed
from cartwheel.evidence.protocol import RunStep, put_to_test, tuned
from cartwheel.evidence.reading import read_studies
from cartwheel.evidence.suite_spec import Cell, SuiteSpec, cells
from cartwheel.evidence.transfers import Source, slug, sources_of, transfer
from cartwheel.results import Study
from cartwheel.store.run_folder import DATABASE

STUDIES = "studies"
TRANSFERS = "transfers"


def run_suite(suite: SuiteSpec, folder: Path, run_step: RunStep) -> bool:
    """Run what has not been run. False if it was stopped: the same call goes on."""
    every = list(cells(suite, str(folder)))
    for number, cell in enumerate(every, 1):
        title = f"[{number}/{len(every)}] {cell.arm} on {cell.task}, seed {cell.tuner_seed}"
        study = tuned(cell.spec, place(folder, cell), title, run_step)
        if not study.is_done or not put_to_test(study, suite.how_tested, title, run_step):
            return False
    return suite.transfer is None or _transferred(suite, folder, run_step)


def place(folder: Path, cell: Cell) -> Path:
    """The run folder of one study."""
    return folder / STUDIES / slug(cell.task) / slug(cell.arm) / str(cell.tuner_seed)


def read_suite(suite: SuiteSpec, folder: Path) -> list[Compared]:
    """The studies that are there and done, under the suite's names of arms."""
    there = [cell for cell in cells(suite, str(folder)) if (place(folder, cell) / DATABASE).is_file()]
    arms = {place(folder, cell): cell.arm for cell in there if Study(place(folder, cell)).is_done}
    return read_studies(list(arms), arms)


def _transferred(suite: SuiteSpec, folder: Path, run_step: RunStep) -> bool:
    assert suite.transfer is not None
    moved: list[Source] = []
    for one in read_suite(suite, folder):
        if one.result.arm in suite.transfer.arms:
            try:
                moved += sources_of(one, suite.transfer.num_pieces)
            except AllTrialsFailed:
                continue  # it found nothing that could be moved
    specs = {cell.task: cell.spec for cell in cells(suite, str(folder))}
    return transfer(moved, specs, folder / TRANSFERS, suite.how_tested, run_step)
