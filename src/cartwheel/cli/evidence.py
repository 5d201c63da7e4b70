"""The commands that turn studies into evidence. They parse, and decide nothing."""

from pathlib import Path

from cartwheel.cli.options import AS_USUAL, NO_CODE, Count, Hours, Manner, Names, OwnCode, schedule_file


def rerun(
    run_dir: Path,
    /,
    *,
    schedule: Path | None = None,
    rename: Names = [],  # noqa: B006 - as above
    name: str = "found",
    seeds: Count = 5,
    own_code: OwnCode = NO_CODE,
    manner: Manner = AS_USUAL,
) -> int:
    """Train anew on fresh test seeds under the found schedule, and evaluate.

    Parameters
    ----------
    run_dir: Path
        Run folder.
    schedule: Path
        Another schedule: any file that `cartwheel schedule` reads.
    name: str
        The results go to reruns/NAME of the run folder.
    seeds: int
        How many; more than before adds to them.
    """
    from cartwheel.cli import commands

    own_code.run()
    return commands.do_rerun(run_dir, schedule_file(schedule, rename), name, seeds, manner.output())


def compare(
    run_dirs: list[Path],
    /,
    *,
    out: Path = Path("runs/comparison"),
    seeds: Count = 10,
    episodes: Count = 5,
    only_read: bool = False,
    controls: bool = True,
    max_hours: Hours | None = None,
    own_code: OwnCode = NO_CODE,
    manner: Manner = AS_USUAL,
) -> int:
    """Put studies side by side at equal cost: test what they found, run the controls, and write the page.

    Parameters
    ----------
    run_dirs: list[Path]
        Run folders; those of one task and tuner that differ by their seed only are one arm.
    out: Path
        The folder of evidence.html, its figures and tables.
    seeds: int
        Test seeds.
    episodes: int
        Played on each.
    only_read: bool
        Run nothing: compare what was tested before.
    controls: bool
        Run the controls of every study too: default config, Random Search and selection-only at its total.
    max_hours: float
        Stop resumably after this time.
    """
    from cartwheel.cli import evidence_commands as commands

    own_code.run()
    how = commands.How(seeds, episodes, only_read, controls, max_hours)
    return commands.do_compare(run_dirs, out, how, manner.output())


def suite(
    file: Path,
    /,
    *,
    out: Path | None = None,
    env_id: str | None = None,
    tuner_seeds: Count | None = None,
    test_seeds: Count | None = None,
    only_read: bool = False,
    max_hours: Hours | None = None,
    own_code: OwnCode = NO_CODE,
    manner: Manner = AS_USUAL,
) -> int:
    """Run tuners x tasks x tuner seeds, resumable as one, test all that is found, and write the page.

    Parameters
    ----------
    file: Path
        Suite file (TOML), such as studies/suites/smoke.toml.
    out: Path
        Where everything lives; default: runs/NAME.
    env_id: str
        On this task instead of the suite's own.
    tuner_seeds: int
        Studies of every arm on every task; more than before adds to them.
    test_seeds: int
        Of every study: its agent plays on each, and one is trained anew for each; more than before adds to them.
    only_read: bool
        Run nothing: write the page of what is there.
    max_hours: float
        Stop resumably after this time.
    """
    from cartwheel.cli import evidence_commands as commands
    from cartwheel.evidence.suite_spec import load_suite

    own_code.run()
    chosen, folder = load_suite(file, env_id, tuner_seeds, test_seeds), out or Path("runs") / file.stem
    return commands.do_suite(chosen, folder, only_read, max_hours, manner.output())


def transfer(
    sources: list[Path],
    /,
    *,
    to: list[Path] = [],  # noqa: B006 - cyclopts reads the default and never changes it
    env_id: list[str] = [],  # noqa: B006 - as above
    out: Path = Path("runs/transfer"),
    simplify: Count | None = None,
    seeds: Count = 10,
    episodes: Count = 5,
    max_hours: Hours | None = None,
    own_code: OwnCode = NO_CODE,
    manner: Manner = AS_USUAL,
) -> int:
    """Follow found configs and schedules on their own and on other tasks, and say what moving them costs.

    Parameters
    ----------
    sources: list[Path]
        Run folders, and schedule files of any format that `cartwheel schedule` reads.
    to: list[Path]
        Run folders whose tasks to follow them on; default: those of the sources.
    env_id: list[str]
        Further tasks, with all else as in the first run folder.
    out: Path
        Where the trainings and the page live.
    simplify: int
        Follow the nearest schedules of so many pieces too.
    seeds: int
        Test seeds: an agent is trained anew for each.
    episodes: int
        Played by each.
    max_hours: float
        Stop resumably after this time.
    """
    from cartwheel.cli import evidence_commands as commands

    own_code.run()
    how = commands.How(seeds, episodes, False, False, max_hours)
    return commands.do_transfer(sources, (to, env_id), out, simplify, how, manner.output())


def ablate(
    run_dir: Path,
    /,
    *,
    seeds: Count = 5,
    episodes: Count = 5,
    max_hours: Hours | None = None,
    own_code: OwnCode = NO_CODE,
    manner: Manner = AS_USUAL,
) -> int:
    """Train anew from the default config to what was found, one hyperparameter at a time, best change first.

    Parameters
    ----------
    run_dir: Path
        Run folder.
    seeds: int
        Trainings of each step; d hyperparameters take about d * d / 2 steps.
    episodes: int
        Played by each agent.
    max_hours: float
        Stop resumably after this time.
    """
    from cartwheel.cli import evidence_commands as commands

    own_code.run()
    return commands.do_ablate(run_dir, commands.How(seeds, episodes, False, False, max_hours), manner.output())
