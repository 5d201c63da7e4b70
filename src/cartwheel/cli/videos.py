"""``cartwheel video``: films of episodes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from cartwheel.cli.options import IN_WORDS, NO_CODE, Count, OwnCode, Speech

if TYPE_CHECKING:
    from cartwheel.cli.commands import Output


def video(
    run_dir: Path,
    /,
    *,
    trial: int | None = None,
    episode: int | None = None,
    beside: Annotated[list[Path], Parameter(negative=())] = [],  # noqa: B006 - only read
    beside_trial: int | None = None,
    beside_episode: int | None = None,
    moment: bool = False,
    exploits: bool = False,
    first_step: Count = 1,
    last_step: Count | None = None,
    title: Annotated[list[str], Parameter(negative=())] = [],  # noqa: B006 - only read
    width: Annotated[int, Parameter(validator=validators.Number(gte=64, lte=4096))] = 480,
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
    beside: list[Path]
        Run folder of an agent to show beside it, such as one trained under the default config; give several for more.
    beside_trial: int
        Of those folders, or of the same one.
    beside_episode: int
        Likewise.
    moment: bool
        Only the moment at which physics first became implausible.
    exploits: bool
        The moments of all implausible episodes that the report lists, which links to them.
    first_step: int
        Where the film begins.
    last_step: int
        Where it ends; default: with the last episode.
    title: list[str]
        What stands above the first episode; repeat it for those beside.
    width: int
        Of one picture in pixels.
    seed: int
        Of an episode played by an agent that was not validated.
    out: Path
        Default: videos/NAME.mp4 in the run folder, which its report shows. NAME.webp is an animated picture.
    """
    from cartwheel.errors import ExitCode, UsageError
    from cartwheel.videos import Cut, Wanted, make_video

    own_code.run()
    wanted = [Wanted(run_dir, trial, episode, seed)]
    if beside or beside_trial is not None or beside_episode is not None:
        wanted += [Wanted(folder, beside_trial, beside_episode, seed) for folder in beside or [run_dir]]
    cut = Cut(first_step, last_step, moment, width)
    output = speech.output()
    if exploits:
        if cut != Cut() or title or out is not None or wanted != [Wanted(run_dir, seed=seed)]:
            raise UsageError(
                "--exploits films all moments", "command line", "leave out what chooses episodes and --out"
            )
        return _film_moments(run_dir, output)
    film = make_video(wanted, out, cut, title)
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
