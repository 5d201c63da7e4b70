"""What ``cartwheel tune --dry-run`` does."""

import dataclasses
from pathlib import Path

from cartwheel.backend import AgentBackend
from cartwheel.cli.commands import Output
from cartwheel.errors import ExitCode
from cartwheel.forecasting import forecast
from cartwheel.spec import StudySpec
from cartwheel.tuning import corners, with_own_defaults


def do_dry_run(spec: StudySpec, run_dir: Path, output: Output) -> ExitCode:
    """Say what a study would be and take."""
    assert isinstance(output.backend, AgentBackend)  # as the command line makes it
    spec.make_tuner()  # its settings are right, or the user is told before anything is measured
    output.note("measuring how fast this machine runs the study's programs ...")
    spec = with_own_defaults(output.backend.applied_to(spec), output.backend)
    if not spec.agent_defaults:  # as it would be written down
        spec = spec.with_agent_defaults(output.backend.agent_defaults(spec, corners(spec), ()))
    found = forecast(spec, output.backend)
    text = "\n".join([spec.to_toml(), *found.lines(run_dir)])
    output.say(text, settings=spec.to_dict(), wall_s=found.wall_s, **dataclasses.asdict(found))
    return ExitCode.DONE
