"""A study, or its best agent, in a format of others: what ``cartwheel export`` does."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from cartwheel.analysis.tables import StudyTables
from cartwheel.errors import ConfigError, StorageError
from cartwheel.exports.csv_files import write_csv
from cartwheel.exports.model_card import write_model_card
from cartwheel.exports.optuna_storage import write_optuna
from cartwheel.exports.parquet import write_parquet
from cartwheel.exports.tensorboard import write_tensorboard
from cartwheel.results import Study
from cartwheel.store.run_folder import RunFolder
from cartwheel.study_agents import agent_setup
from cartwheel.tuning import corners, spec_of

StudyFormat: TypeAlias = Literal["csv", "parquet", "tensorboard", "optuna"]
WRITERS: Mapping[StudyFormat, Callable[[StudyTables, Path], Path]] = {
    "csv": write_csv,
    "parquet": write_parquet,
    "tensorboard": write_tensorboard,
    "optuna": write_optuna,
}


def export_study(run_dir: Path, file_format: StudyFormat, out: Path) -> Path:
    """Write a study into a new folder or file, as the format has it; its path.

    Raises ConfigError if ``out`` is taken or the format's package is missing, StorageError if it cannot be written.
    """
    tables = Study(run_dir).tables
    try:
        return WRITERS[file_format](tables, out)
    except OSError as error:
        raise StorageError(f"cannot write the export: {error.strerror}", str(out), "free or repair the disk") from error


def export_best(run_dir: Path, out: Path) -> Path:
    """Write a study's best agent into a folder of its own, for ``Agent.load``, with its model card; the path."""
    from cartwheel.agent import export_agent

    study = Study(run_dir)
    best = study.best
    with RunFolder.to_read(run_dir) as folder:
        spec, checkpoints = spec_of(folder), folder.checkpoints
    if spec.model == "simulator":
        raise ConfigError("it plans with the simulator and has learned nothing", "model", "play it with `evaluate`")
    setup = agent_setup(spec, [*corners(spec), best.config])
    arrays, _ = checkpoints.read(best.checkpoint)
    export_agent(setup, best.config, arrays, out)
    write_model_card(out, study.tables)
    return out
