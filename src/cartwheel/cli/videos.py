"""``cartwheel video``: films of episodes."""

from pathlib import Path

from cartwheel.cli.options import NO_CODE, Json, OwnCode, Quiet


def video(
    run_dir: Path,
    /,
    *,
    trial: int | None = None,
    episode: int | None = None,
    beside: Path | None = None,
    beside_trial: int | None = None,
    beside_episode: int | None = None,
    moment: bool = False,
    seed: int = 0,
    out: Path | None = None,
    own_code: OwnCode = NO_CODE,
    quiet: Quiet = False,
    as_json: Json = False,
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
    beside: Path
        Run folder of an agent to show beside it, such as one trained under the default config.
    beside_trial: int
        Of that folder, or of the same one.
    beside_episode: int
        Likewise.
    moment: bool
        Only the moment at which physics first became implausible.
    seed: int
        Of an episode played by an agent that was not validated.
    out: Path
        Default: videos/NAME.mp4 in the run folder, which its report shows.
    """
    from cartwheel.cli.commands import Output
    from cartwheel.errors import ExitCode
    from cartwheel.videos import Wanted, make_video

    own_code.run()
    wanted = [Wanted(run_dir, trial, episode, seed)]
    if beside is not None or beside_trial is not None or beside_episode is not None:
        wanted.append(Wanted(beside or run_dir, beside_trial, beside_episode, seed))
    film = make_video(wanted, out, moment)
    output = Output(quiet, as_json)
    for note in film.notes:
        output.note(note)
    returns = " and ".join(f"{return_:.6g}" for return_ in film.returns)
    output.say(f"video: {film.path} (return {returns})", video=film.path, returns=film.returns, notes=film.notes)
    return ExitCode.DONE
