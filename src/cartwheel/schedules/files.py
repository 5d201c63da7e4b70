"""Schedule files: which formats there are, how each is told from the others, and errors that name the file.

- ``cartwheel``: ours, pieces with a start and a stop (``cartwheel.schedules.schedule``).
- ``aistats2021``: one config per episode, as Zhang et al. 2021 released theirs (``cartwheel.schedules.released``).
- Ray Tune's ``pbt_policy_TRIAL.txt`` (``cartwheel.schedules.ray_policies``), which is read only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from cartwheel.errors import ConfigError, did_you_mean
from cartwheel.schedules.ray_policies import RayPolicy, is_ray_policy
from cartwheel.schedules.released import ReleasedSchedule
from cartwheel.schedules.schedule import Schedule
from cartwheel.user_files import read_user_file

Format: TypeAlias = Literal["cartwheel", "aistats2021"]

MAX_BYTES = 2**24
"""A released schedule of 300 episodes has 50 kB; what is longer than this is another kind of file."""


@dataclass(frozen=True, slots=True)
class ScheduleFile:
    """Where a schedule is, and the names of its hyperparameters: theirs to ours, ``""`` to leave one out.

    Only Ray's files need names: the other formats have them fixed.
    """

    path: Path
    names: Mapping[str, str] = field(default_factory=dict)

    def read(self, num_episodes: int | None = None, open_end: int | None = None) -> Schedule:
        """The first ``num_episodes`` model-driven episodes, by default all. Raises ConfigError, also if it is shorter.

        ``open_end``: how many there are in a file of Ray's, which does not say where its last config ends.
        """
        data = read_user_file(self.path, "schedule file", MAX_BYTES)
        try:
            schedule = self._whole(data.decode(), num_episodes or open_end)
        except ValueError as error:
            step = "write one with `cartwheel schedule RUN_DIR --out FILE`"
            raise ConfigError(str(error), str(self.path), step) from error
        try:
            return schedule if num_episodes is None else schedule.first(num_episodes)
        except ValueError as error:
            raise ConfigError(str(error), str(self.path), "give fewer --episodes") from error

    def _whole(self, text: str, open_end: int | None) -> Schedule:
        if not is_ray_policy(text):
            if self.names:
                raise ValueError("--rename is for the policy files of Ray's PBT, and this is none")
            return schedule_from_text(text)
        if open_end is None:
            raise ValueError("a policy of Ray's PBT does not say where its last config ends: give --episodes")
        return RayPolicy.from_text(text, self.names).schedule(open_end)


def schedule_from_text(text: str) -> Schedule:
    """The schedule in a file of our own format or of the released one. Raises ValueError with the cause."""
    return ReleasedSchedule.from_text(text).schedule if text.lstrip().startswith("[") else Schedule.from_text(text)


def schedule_to_text(schedule: Schedule, file_format: str) -> str:
    """Text for a file. Raises ValueError on an unknown format, or on a hyperparameter that the format lacks."""
    if file_format not in get_args(Format):
        raise ValueError(f"no format {file_format!r}: {did_you_mean(file_format, get_args(Format))}")
    return schedule.to_text() if file_format == "cartwheel" else ReleasedSchedule.from_schedule(schedule).to_text()
