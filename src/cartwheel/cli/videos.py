"""``cartwheel video``: films of episodes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from cartwheel.cli.options import IN_WORDS, NO_CODE, Count, OwnCode, Speech

if TYPE_CHECKING:
    from cartwheel.cli.commands import Output
    from cartwheel.videos import Cut, Wanted


@Parameter(name="*")
@dataclass(frozen=True)
class Beside:
    """What is shown beside the first episode.

    Parameters
    ----------
    beside: list[Path]
        Run folder of an agent to show beside it, such as one trained under the default config; give several for more.
    beside_trial: int
        Of those folders, or of the same one.
    beside_episode: int
        Likewise.
    """

    beside: Annotated[list[Path], Parameter(negative=())] = field(default_factory=list)
    beside_trial: int | None = None
    beside_episode: int | None = None

    def wanted(self, run_dir: Path, seed: int) -> "list[Wanted]":
        """The episodes of other agents, or others of the same folder."""
        from cartwheel.videos import Wanted

        is_given = bool(self.beside) or self.beside_trial is not None or self.beside_episode is not None
        folders = (self.beside or [run_dir]) if is_given else []
        return [Wanted(folder, self.beside_trial, self.beside_episode, seed) for folder in folders]


@Parameter(name="*")
@dataclass(frozen=True)
class Piece:
    """What of the episodes is shown, and how large.

    Parameters
    ----------
    moment: bool
        Only the moment at which physics first became implausible.
    first_step: int
        Where the film begins.
    last_step: int
        Where it ends; default: with the last episode.
    width: int
        Of one picture in pixels.
    """

    moment: bool = False
    first_step: Count = 1
    last_step: Count | None = None
    width: Annotated[int, Parameter(validator=validators.Number(gte=64, lte=4096))] = 480

    def cut(self) -> "Cut":
        """What films take."""
        from cartwheel.videos import Cut

        return Cut(self.first_step, self.last_step, self.moment, self.width)


ALONE, ALL_OF_IT = Beside(), Piece()


def video(
    run_dir: Path,
    /,
    *,
    trial: int | None = None,
    episode: int | None = None,
    others: Beside = ALONE,
    piece: Piece = ALL_OF_IT,
    exploits: bool = False,
    title: Annotated[list[str], Parameter(negative=())] = [],  # noqa: B006 - only read
    seed: int = 0,
    out: Path | None = None,
    own_code: OwnCode = NO_CODE,
    speech: Speech = IN_WORDS,
) -> int:
    """Film an episode as mp4, with return, speed and what was noted about physics above it; no screen is needed.

    Parameters
    ----------
    run_dir: Path
        Run folder.
    trial: int
        Whose agent; default: the best.
    episode: int
        One that it was trained in (0 is the random one); default: it plays one now, the first of its validation.
    exploits: bool
        The moments of all implausible episodes that the report lists, which links to them.
    title: list[str]
        What stands above the first episode; repeat it for those beside.
    seed: int
        Of an episode played by an agent that was not validated.
    out: Path
        Default: videos/NAME.mp4 in the run folder, which its report shows. NAME.webp is an animated picture.
    """
    from cartwheel.errors import ExitCode, UsageError
    from cartwheel.videos import Wanted, make_video

    own_code.run()
    wanted = [Wanted(run_dir, trial, episode, seed), *others.wanted(run_dir, seed)]
    output = speech.output()
    if exploits:
        if piece != ALL_OF_IT or title or out is not None or wanted != [Wanted(run_dir, seed=seed)]:
            step = "leave out what chooses episodes and --out"
            raise UsageError("--exploits films all moments", "command line", step)
        return _film_moments(run_dir, output)
    film = make_video(wanted, out, piece.cut(), title)
    for note in film.notes:
        output.note(note)
    returns = " and ".join(f"{return_:.6g}" for return_ in film.returns)
    output.say(f"video: {film.path} (return {returns})", video=film.path, returns=film.returns, notes=film.notes)
    return ExitCode.DONE


def _film_moments(run_dir: Path, output: "Output") -> int:
    from cartwheel.analysis.wording import plural
    from cartwheel.errors import ExitCode
    from cartwheel.videos import make_moments

    paths, notes = [], []
    for made in make_moments(run_dir):
        if isinstance(made, str):
            output.note(made)
            notes.append(made)
        else:
            output.note(f"video: {made.path}")
            paths.append(made.path)
    output.say(
        f"{plural(len(paths), 'new film')} of moments; next: cartwheel report {run_dir}", videos=paths, notes=notes
    )
    return ExitCode.DONE
