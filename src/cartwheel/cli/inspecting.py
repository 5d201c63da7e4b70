"""Commands that look at a run folder: how far a study is, and whether everything in it is what was written."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from cartwheel.cli.options import Json
from cartwheel.errors import ExitCode

if TYPE_CHECKING:
    from cartwheel.checking import Checked


def status(run_dir: Path, /, *, as_json: Json = False) -> int:
    """Say how far a study is; it may be running.

    Parameters
    ----------
    run_dir: Path
        Run folder.
    """
    from cartwheel.cli import commands

    return commands.do_status(run_dir, commands.Output(is_json=as_json))


def check(
    run_dir: Path,
    /,
    *,
    repair: Annotated[bool, Parameter(negative=())] = False,
    as_json: Json = False,
) -> int:
    """Compare everything in a run folder with what was written: database, log, checkpoints; it may be running.

    Parameters
    ----------
    run_dir: Path
        Run folder; those inside it are checked too.
    repair: bool
        Drop what is bad, down to the newest good ancestors, and keep the old database. `cartwheel tune` then goes on.
    """
    from cartwheel import checking
    from cartwheel.cli.commands import Output

    output, is_good = Output(is_json=as_json), True
    for folder in checking.run_folders(run_dir):
        checked = checking.check_and_repair(folder) if repair else checking.check(folder)
        output.say(_text(checked), **_facts(checked))
        is_good &= not checked.findings or checked.backup is not None
    return ExitCode.DONE if is_good else ExitCode.STORAGE


def _text(checked: "Checked") -> str:
    exam, path = checked.examination, checked.path
    lines = [f"{path}: {f'{len(checked.findings)} bad' if checked.findings else 'good'}"]
    if checked.owner is not None:
        lines.append(f"  is being run by {checked.owner}: this is how it stood")
    lines.append(f"  {exam.num_rows} rows of the database, log of {len(exam.state.events)} events, replayed")
    lines.append(f"  {exam.num_files} files of checkpoints and replay, {exam.num_bytes} bytes, fit their digests")
    lines += [f"  {note}" for note in checked.notes]
    lines += [f"  bad: {finding}" for finding in checked.findings]
    if checked.backup is not None:
        lines.append(f"  repaired; the old database is {checked.backup}; next: the command that ran the study")
    elif checked.findings:
        lines.append(f"  next: cartwheel check {path} --repair")
    return "\n".join(lines)


def _facts(checked: "Checked") -> dict[str, Any]:
    exam = checked.examination
    return {
        "run_dir": str(checked.path),
        "is_good": not checked.findings,
        "findings": [{"place": f.place, "cause": f.cause, "remedy": f.remedy} for f in checked.findings],
        "notes": checked.notes,
        "run_by": checked.owner,
        "rows": exam.num_rows,
        "events": len(exam.state.events),
        "files": exam.num_files,
        "bytes": exam.num_bytes,
        "backup": None if checked.backup is None else str(checked.backup),
    }
