"""``cartwheel export``: a study, or its best agent, in a format of others."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from cartwheel.cli.options import IN_WORDS, NO_CODE, OwnCode, Speech

NEXT_STEPS = {
    "agent": "cartwheel.Agent.load({out!r}) loads it, README.md describes it",
    "csv": "a CSV file for each of trials, segments, episodes and evaluations",
    "parquet": "a Parquet file for each of trials, segments, episodes and evaluations",
    "tensorboard": "look at it with `tensorboard --logdir {out}`",
    "optuna": "look at it with `optuna-dashboard sqlite:///{out}`",
}
"""What to do with what was written."""


def export(
    run_dir: Path,
    /,
    *,
    out: Path,
    file_format: Annotated[
        Literal["agent", "csv", "parquet", "tensorboard", "optuna"], Parameter(name="--format")
    ] = "agent",
    own_code: OwnCode = NO_CODE,
    speech: Speech = IN_WORDS,
) -> int:
    """Write the best agent into a folder that cartwheel.Agent.load reads, or the study in another tool's format.

    Parameters
    ----------
    run_dir: Path
        Run folder.
    out: Path
        The new folder; with --format optuna the new file.
    file_format: str
        "agent" is the best agent with its model card, the others are the whole study.
    """
    from cartwheel.errors import ExitCode
    from cartwheel.exporting import export_best, export_study

    own_code.run()
    path = export_best(run_dir, out) if file_format == "agent" else export_study(run_dir, file_format, out)
    text = f"exported to {path}; {NEXT_STEPS[file_format].format(out=str(path))}"
    speech.output().say(text, path=path, format=file_format)
    return ExitCode.DONE
