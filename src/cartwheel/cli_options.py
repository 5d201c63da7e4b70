"""Groups of options that commands share."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from cartwheel.task_files import TaskFile


@Parameter(name="*")
@dataclass(frozen=True)
class OwnCode:
    """Code of the user's own: run only because the command line names it, never because a file that was read does.

    Parameters
    ----------
    task_file: Path
        Python file that defines `task`; it is run.
    allow_env_import: bool
        Let an environment's id name a module, as in module:Env-v0, and import that.
    """

    task_file: Path | None = None
    allow_env_import: Annotated[bool, Parameter(negative=(), show_default=False)] = False

    def run(self) -> "TaskFile | None":
        """The task of the file, if one is given."""
        from cartwheel.commands import run_own_code

        return run_own_code(self.task_file, self.allow_env_import)
