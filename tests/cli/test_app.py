"""The command line: what it prints, what it returns to the shell, and that errors are one line."""

import csv
import html
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from cartwheel.errors import ExitCode
from cartwheel.results import Study
from cartwheel.schedules.schedule import Schedule
from cartwheel.spaces.named import get_space
from cartwheel.spaces.space import Space
from cartwheel.store.run_folder import RunFolder
from command_line import Cli, without_jax
from snapshot import snapshot
from synthetic_executor import SyntheticBackend

STUDY = """
env_id = "line"
num_episodes = 3
seed = 3

[tuner]
name = "pbt"
population = 2

[engine]
lanes = 2

[validation]
num_episodes = 1
"""


@pytest.fixture(autouse=True)
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SyntheticBackend:
    """No JAX here: the synthetic agent is trained; and the tests stand in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(STUDY)
    return without_jax(monkeypatch)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


def test_tune_to_the_end(run: Cli) -> None:
    """Exit code 0; the last line says where, what is best and what to do next."""
    assert run("tune", "study.toml", "--run-dir", "run") == ExitCode.DONE
    last = run.out.splitlines()[-1]
    assert last.startswith("done in run; best segment ")
    assert last.endswith("next: cartwheel report run")
    assert Study(Path("run")).is_done


def test_a_study_file_names_its_run_folder(run: Cli) -> None:
    """runs/NAME for NAME.toml; without a file, runs/ENV-TUNER."""
    assert run("tune", "study.toml", "--quiet") == 0
    assert run.out == ""
    assert (Path("runs") / "study" / "study.db").is_file()
    words = ["--env-id", "ns/Line-v0", "--tuner", "random-search", "--episodes", "1", "--tuner.num-trials", "2"]
    assert run("tune", *words) == 0
    assert (Path("runs") / "ns-Line-v0-random-search" / "study.db").is_file()


def test_the_same_command_resumes(run: Cli, backend: SyntheticBackend) -> None:
    """Stopped at once by --max-hours with the code of an interruption, then run to the end, then a no-op."""
    assert run("tune", "study.toml", "--run-dir", "run", "--max-hours", "1e-9") == ExitCode.INTERRUPTED
    assert "the same command goes on" in run.out
    assert run("tune", "study.toml", "--run-dir", "run") == ExitCode.DONE
    before = snapshot(Path("run"))
    assert run("tune", "study.toml", "--run-dir", "run") == ExitCode.DONE
    assert backend.made[-1].submitted == []
    assert snapshot(Path("run")) == before


def test_more_episodes_extend(run: Cli) -> None:
    """--episodes MORE on a finished study runs on, and the study file in the run folder says so."""
    assert run("tune", "study.toml", "--run-dir", "run") == 0
    assert run("tune", "study.toml", "--run-dir", "run", "--episodes", "5") == 0
    assert Study(Path("run")).schedule().num_episodes == 5
    assert "num_episodes = 5" in Path("run/study.toml").read_text()


def test_dotted_options_reach_the_study(run: Cli) -> None:
    """With a space or an equals sign, dashes or underscores; --set means the same."""
    words = ["--tuner.population", "3", "--agent.noise-exponent=1.5", "--set", "validation.num_episodes=0"]
    assert run("tune", "study.toml", "--run-dir", "run", *words) == 0
    study = Study(Path("run"))
    assert study.tables.trials == [0, 1, 2]
    assert study.tables.settings["agent"] == {"noise_exponent": 1.5}
    assert study.tables.evaluations == ()


def test_spaces_are_printed_and_turned_into_other_formats(run: Cli) -> None:
    """From a name to ConfigSpace's JSON, from that into a study file, and the study is tuned."""
    assert run("space", "small", "--format", "configspace", "--out", "small.json") == 0
    assert run("space", "small.json") == 0
    assert Space.from_dict(tomllib.loads(run.out)["space"]["parameters"]) == get_space("small")
    Path("own.toml").write_text(Path("study.toml").read_text() + run.out)
    assert run("tune", "own.toml", "--run-dir", "own") == 0
    assert run("space", "own/study.toml", "--format", "optuna") == 0
    assert json.loads(run.out)["distributions"].keys() == get_space("small").parameters.keys()
    assert run("space", "smal") == ExitCode.CONFIG
    assert "did you mean 'small'?" in run.err


@pytest.mark.parametrize("group", ["model", "planner", "joint"])
def test_tune_picks_a_group(run: Cli, group: str) -> None:
    """And the help says so."""
    assert run("tune", "study.toml", "--run-dir", "run", "--tune", group) == 0
    space = Study(Path("run")).tables.space
    groups = {parameter.group for parameter in space.parameters.values()}
    assert groups == ({"model", "planner"} if group == "joint" else {group})
    assert run("tune", "--help") == 0
    assert "--tune" in run.out.split()


def test_failed_trials_have_an_exit_code(run: Cli, backend: SyntheticBackend) -> None:
    """The study is finished, and the shell can tell that not all went well."""
    backend.settings = {"failures": {"1.0": 0}}
    assert run("tune", "study.toml", "--run-dir", "run") == ExitCode.FAILED_TRIALS
    assert "1 segments failed" in run.out


def test_when_all_trials_failed_there_is_nothing_to_play(run: Cli, backend: SyntheticBackend) -> None:
    """The study is finished and can be looked at; what needs its best agent says why there is none."""
    backend.settings = {"failures": {"0.0": 0, "1.0": 0}}
    words = ["--tuner", "random-search", "--tuner.num_trials", "2"]
    assert run("tune", "--env-id", "line", "--episodes", "2", "--run-dir", "run", *words) == ExitCode.FAILED_TRIALS
    assert run.facts("status", "run")["best_segment"] is None
    for command in ("evaluate", "schedule", "rerun"):
        assert run(command, "run") == ExitCode.FAILED_TRIALS
        assert run.err == "cartwheel: error: all trials failed; see `cartwheel report run`\n"


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (["tune", "nothing.toml"], ExitCode.CONFIG, ["nothing.toml"]),
        (["tune"], ExitCode.CONFIG, ["is missing"]),
        (["tune", "study.toml", "--engine.lane", "3"], ExitCode.CONFIG, ["did you mean 'lanes'?", "--engine.lane"]),
        (["tune", "study.toml", "--tuner", "ptb"], ExitCode.CONFIG, ["did you mean 'pbt'?"]),
        (["tune", "study.toml", "--tuner.populaton", "3"], ExitCode.CONFIG, ["did you mean 'population'?"]),
        (["tune", "study.toml", "--tune", "modell"], ExitCode.USAGE, ["--tune", "modell"]),
        (
            ["tune", "study.toml", "--tune", "model", "--space.tune", "joint"],
            ExitCode.USAGE,
            ["given twice: space.tune"],
        ),
        (["tune", "study.toml", "--episodes", "0"], ExitCode.CONFIG, ["got 0 (--episodes)"]),
        (["tune", "study.toml", "--episode-length", "0"], ExitCode.CONFIG, ["got 0 (--episode-length)"]),
        (["tune", "study.toml", "--seed", "7", "--set", "seed=8"], ExitCode.USAGE, ["given twice: seed"]),
        (["tune", "study.toml", "--set", "seed"], ExitCode.USAGE, ["KEY=VALUE"]),
        (["tune", "study.toml", "--tuner.population"], ExitCode.USAGE, ["no value for --tuner.population"]),
        (["tune", "study.toml", "--episodes", "many"], ExitCode.USAGE, ["--episodes"]),
        (["tune", "study.toml", "--run-dir", "study.toml/run"], ExitCode.STORAGE, ["study.toml/run"]),
        (["tune", "study.toml", "--run-dir", "."], ExitCode.CONFIG, ["not empty", "--run-dir"]),
        (["tune", "study.toml", "--max-hours", "0"], ExitCode.USAGE, ["--max-hours", "> 0"]),
        (["tune", "study.toml", "--max-hours", "nan"], ExitCode.USAGE, ["--max-hours", "> 0"]),
        (["tune", "study.toml", "--max-hours=-1"], ExitCode.USAGE, ["--max-hours", "> 0"]),
        (["evaluate", "nowhere", "--episodes", "0"], ExitCode.USAGE, ["--episodes", ">= 1"]),
        (["evaluate", "--env-id", "line", "--model", "simulator", "--episodes=-3"], ExitCode.USAGE, ["--episodes"]),
        (["rerun", "nowhere", "--seeds", "0"], ExitCode.USAGE, ["--seeds", ">= 1"]),
        (["demo", "study.toml", "--seeds", "0"], ExitCode.USAGE, ["--seeds", ">= 1"]),
        (["tnue"], ExitCode.USAGE, ["tune"]),
        (["status", "nowhere"], ExitCode.STORAGE, ["no study", "nowhere"]),
        (["rerun", "nowhere"], ExitCode.STORAGE, ["no study"]),
        (["schedule", "nowhere"], ExitCode.STORAGE, ["no study"]),
        (["report", "nowhere"], ExitCode.STORAGE, ["no study"]),
        (["evaluate"], ExitCode.USAGE, ["give either a folder"]),
        (["train", "study.toml", "--config", "study.toml"], ExitCode.CONFIG, ["not a config", "study.toml"]),
        (["train", "study.toml", "--schedule", "study.toml"], ExitCode.CONFIG, ["study.toml", "cartwheel schedule"]),
    ],
)
def test_errors_are_one_line_with_a_place(run: Cli, words: list[str], code: ExitCode, parts: list[str]) -> None:
    """Cause, place, and the right exit code; no traceback, nothing on standard output."""
    assert run(*words) == code
    assert run.out == ""
    assert run.err.startswith("cartwheel: error: ")
    assert run.err.count("\n") == 1
    for part in parts:
        assert part in run.err


def test_another_study_in_the_folder_is_refused(run: Cli) -> None:
    """What differs is named; nothing is lost."""
    assert run("tune", "study.toml", "--run-dir", "run") == 0
    before = snapshot(Path("run"))
    assert run("tune", "study.toml", "--run-dir", "run", "--seed", "4") == ExitCode.CONFIG
    assert "another study: seed: 3 -> 4 (run)" in run.err
    assert snapshot(Path("run")) == before


def test_a_study_that_runs_elsewhere_is_refused(run: Cli) -> None:
    """Status still reads it, and says who runs it."""
    assert run("tune", "study.toml", "--run-dir", "run", "--max-hours", "1e-9") == ExitCode.INTERRUPTED
    with RunFolder.to_write(Path("run")):
        assert run("tune", "study.toml", "--run-dir", "run") == ExitCode.STORAGE
        assert f"process {os.getpid()}" in run.err
        assert run.facts("status", "run")["state"].startswith(f"run by process {os.getpid()}")
    assert run.facts("status", "run")["state"] == "stopped, resumable"


def test_status_changes_nothing(run: Cli) -> None:
    """Whatever lies in the folder stays, and no lock file is made."""
    assert run("tune", "study.toml", "--run-dir", "run", "--max-hours", "1e-9") == ExitCode.INTERRUPTED
    stray = Path("run/checkpoints") / f"{'0' * 64}.safetensors"
    stray.write_bytes(b"written, not yet committed")
    Path("run/study.lock").unlink()
    assert run.facts("status", "run")["state"] == "stopped, resumable"
    assert stray.is_file()
    assert not Path("run/study.lock").exists()


def test_status_counts(run: Cli) -> None:
    """For people and for programs."""
    run("tune", "study.toml", "--run-dir", "run")
    facts = run.facts("status", "run")
    assert (facts["state"], facts["members"], facts["episodes"], facts["segments_done"]) == ("done", 2, 8, 4)
    assert facts["best_validation_mean"] is not None
    assert run("status", "run") == 0
    assert "segments done" in run.out


@pytest.mark.parametrize("command", [["tune", "study.toml"], ["train", "study.toml"]], ids=lambda words: words[0])
def test_profile_says_where_the_time_went(run: Cli, command: list[str]) -> None:
    """In the report at once, as numbers beside it and as JSON; what JAX's profiler saw lies in a folder."""
    assert run(*command, "--run-dir", "run", "--profile") == 0
    sentence = next(line for line in run.out.splitlines() if line.startswith("Of "))
    assert sentence in html.unescape(Path("run/report.html").read_text())
    rows = list(csv.DictReader(Path("run/figures/time.csv").read_text().splitlines()))
    devices = [row for row in rows if row["of"] == "devices"]
    assert sum(float(row["share"]) for row in devices) == pytest.approx(1.0)
    assert {row["activity"] for row in rows if row["of"] == "loop"} == {"commits", "the tuner and records"}
    shares = run.facts("status", "run")["where_time_went"]
    assert shares.keys() == {row["activity"] for row in devices}
    assert list(Path("run/profile").rglob("*.xplane.pb"))


def test_a_schedule_goes_out_and_comes_back(run: Cli) -> None:
    """What `schedule --out` writes, `train --schedule` and `rerun --schedule` follow."""
    run("tune", "study.toml", "--run-dir", "run")
    assert run("schedule", "run") == 0
    printed = run.out
    assert run("schedule", "run", "--out", "found.json") == 0
    assert Path("found.json").read_text() == printed
    assert run("train", "study.toml", "--schedule", "found.json", "--run-dir", "trained") == 0
    assert Study(Path("trained")).schedule() == Schedule.from_text(printed)
    assert run("rerun", "run", "--schedule", "found.json", "--name", "again", "--seeds", "2") == 0
    assert Study(Path("run/reruns/again")).tables.trials == [0, 1]


def test_a_schedule_is_averaged_simplified_and_converted(run: Cli) -> None:
    """Of a study or of a file; what is written is read again, and how near it is goes to standard error."""
    run(
        "tune",
        "study.toml",
        "--run-dir",
        "run",
        "--tuner.redraw_probability",
        "1",
        "--tuner.first_interval_episodes",
        "1",
    )
    study = Study(Path("run"))
    assert run("schedule", "run", "--top", "2") == 0
    assert Schedule.from_text(run.out) == study.average_schedule(2)
    assert run("schedule", "run", "--episodes", "1", "--out", "one.json") == 0
    assert Schedule.from_text(Path("one.json").read_text()) == study.schedule().first(1)

    Path("long.json").write_text(json.dumps([{"model_learning_rate": 10**-k} for k in (2, 2, 3, 4, 5)]))
    words = ["schedule", "long.json", "--space", "small", "--simplify", "1"]
    assert run(*words, "--shape", "linear", "--format", "aistats2021") == 0
    decay = [entry["model_learning_rate"] for entry in json.loads(run.out)]
    assert decay == pytest.approx([1e-2, 1e-2, 1e-3, 1e-4, 1e-5])
    assert "episodes 1 to 4: learning_rate 0.01 to 1e-05" in run.err
    assert "learning_rate: mean" in run.err
    assert run(*words, "--quiet") == 0
    assert run.err == ""
    facts = run.facts(*words, "--out", "constant.json")
    # constant at 10^-3.5 of three decades: 0.5, 1/6, 1/6 and 0.5 away
    assert facts["errors"]["learning_rate"] == pytest.approx({"mean": 1 / 3, "largest": 0.5})


def test_a_published_schedule_is_followed_at_a_small_budget(run: Cli) -> None:
    """500 samples become 48, for `train` too; the file and what is said of it name the factor."""
    Path("big.json").write_text(json.dumps([{"cem_popsize": 500, "plan_hor": 30}] * 3))
    words = ["schedule", "big.json", "--scale", "num_samples=48/500"]
    assert run(*words) == 0
    assert run.err == "scaled: num_samples x 0.096\n"
    assert Schedule.from_text(run.out).config_at(1) == {"num_samples": 48, "plan_horizon": 30}
    assert run.facts(*words, "--out", "small.json")["scales"] == {"num_samples": 0.096}
    assert run(*words, "--simplify", "1", "--space", "aistats2021-halfcheetah") == 0
    assert Schedule.from_text(run.out).config_at(1)["num_samples"] == 48
    assert run("train", "study.toml", "--schedule", "small.json", "--run-dir", "t", "--set", "num_episodes=2") == 0
    assert Study(Path("t")).schedule().pieces == Schedule.from_text(Path("small.json").read_text()).pieces


def test_rays_schedules_are_read_everywhere(run: Cli) -> None:
    """Under names that the user gives; its files hold no end, so training takes as many episodes as it is told."""
    lines = [["1_a", "0_a", 2, 2, {"lr": 1e-3, "env": "line"}, {"lr": 1e-4, "env": "line"}]]
    Path("pbt_policy_1.txt").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rename = ["--rename", "lr=learning_rate", "--rename", "env="]
    assert run("schedule", "pbt_policy_1.txt", *rename, "--episodes", "3") == 0
    imported = Schedule.from_text(run.out)
    assert [(p.stop, p.config) for p in imported.pieces] == [(2, {"learning_rate": 1e-3}), (3, {"learning_rate": 1e-4})]
    assert run("train", "study.toml", "--schedule", "pbt_policy_1.txt", *rename, "--run-dir", "trained") == 0
    assert Study(Path("trained")).schedule() == imported
    run("tune", "study.toml", "--run-dir", "run")
    assert run("rerun", "run", "--schedule", "pbt_policy_1.txt", *rename, "--name", "ray", "--seeds", "1") == 0
    assert Study(Path("run/reruns/ray")).schedule() == imported
    assert run("schedule", "pbt_policy_1.txt", *rename) == ExitCode.CONFIG
    assert "give --episodes" in run.err


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["run", "--top", "9"], ExitCode.USAGE, "2 trials have come to the end of a segment, not 9"),
        (["run", "--episodes", "9"], ExitCode.USAGE, "give fewer --episodes"),
        (["run", "--shape", "linear"], ExitCode.USAGE, "give --simplify PIECES"),
        (["run", "--rename", "a=b"], ExitCode.USAGE, "--rename is for"),
        (["run", "--rename", "a"], ExitCode.USAGE, "give for example --rename lr=learning_rate"),
        (["run", "--scale", "alpha"], ExitCode.USAGE, "give for example --scale num_samples=0.1"),
        (["run", "--scale", "alpha=much"], ExitCode.USAGE, "not a factor: much"),
        (["run", "--scale", "alpha=1/0"], ExitCode.USAGE, "not a factor: 1/0"),
        (["run", "--scale", "alpha=1", "--scale", "alpha=2"], ExitCode.USAGE, "scaled twice"),
        (["run", "--scale", "alpah=0.1"], ExitCode.CONFIG, "did you mean 'alpha'?"),
        (["run", "--scale", "alpha=0"], ExitCode.CONFIG, "positive and finite"),
        (["run", "--format", "aistats2021"], ExitCode.CONFIG, "use --format cartwheel"),
        (["found.json", "--top", "2"], ExitCode.USAGE, "give a run folder"),
        (["found.json", "--episodes", "9"], ExitCode.CONFIG, "give fewer --episodes"),
        (["found.json", "--simplify", "1"], ExitCode.USAGE, "give --space"),
        (["found.json", "--simplify", "1", "--space", "smal"], ExitCode.CONFIG, "did you mean 'small'?"),
        (["found.json", "--simplify", "1", "--space", "aistats2021-pusher"], ExitCode.CONFIG, "'noise_exponent'"),
        (["found.json", "--rename", "a=b"], ExitCode.CONFIG, "--rename is for the policy files"),
    ],
)
def test_schedules_that_cannot_be_made(run: Cli, words: list[str], code: ExitCode, part: str) -> None:
    """One line that names the option to change."""
    run("tune", "study.toml", "--run-dir", "run")
    run("schedule", "run", "--out", "found.json")
    assert run("schedule", *words) == code
    assert part in run.err
    assert run.err.count("\n") == 1


def test_rerun_follows_the_best_schedule(run: Cli) -> None:
    """On as many fresh seeds as asked for."""
    run("tune", "study.toml", "--run-dir", "run")
    assert run("rerun", "run", "--seeds", "3") == 0
    again = Study(Path("run/reruns/found"))
    assert again.tables.trials == [0, 1, 2]
    assert again.schedule() == Study(Path("run")).schedule()


def test_train_with_given_hyperparameters(run: Cli) -> None:
    """From TOML or JSON; without any, with the agent's own."""
    Path("config.toml").write_text("learning_rate = 1e-3\n")
    Path("config.json").write_text('{"learning_rate": 1e-3}')
    for name in ("config.toml", "config.json"):
        assert run("train", "study.toml", "--config", name, "--run-dir", f"run-{name}") == 0
        assert Study(Path(f"run-{name}")).best.config == {"learning_rate": 1e-3}
    assert run("train", "--env-id", "line", "--episodes", "2", "--run-dir", "plain") == 0
    assert Study(Path("plain")).best.config == {}
    assert run("train", "study.toml", "--config", "config.toml", "--schedule", "x") == ExitCode.USAGE


def test_training_takes_one_lane_unless_told(run: Cli) -> None:
    """Whatever the study file says."""
    for words, lanes in (([], 1), (["--engine.lanes", "2"], 2)):
        assert run("train", "study.toml", "--run-dir", f"run-{lanes}", *words) == 0
        assert Study(Path(f"run-{lanes}")).tables.settings["engine"]["lanes"] == lanes


@pytest.mark.parametrize(
    ("name", "text"),
    [("c.toml", "x = nan"), ("c.toml", "x = -inf"), ("c.json", '{"x": NaN}'), ("c.json", '{"x": 1e999}')],
)
def test_hyperparameters_are_finite(run: Cli, name: str, text: str) -> None:
    """Both formats can write numbers that are not; the file and the name are said."""
    Path(name).write_text(text)
    assert run("train", "study.toml", "--config", name) == ExitCode.CONFIG
    assert "not a config: x is" in run.err
    assert name in run.err


def test_evaluate_plays_the_best(run: Cli) -> None:
    """As many episodes as asked for, the same ones for the same seed; the study is untouched."""
    run("tune", "study.toml", "--run-dir", "run")
    before = snapshot(Path("run"))
    first = run.facts("evaluate", "run", "--episodes", "3", "--seed", "1")
    assert len(first["returns"]) == 3
    assert run.facts("evaluate", "run", "--episodes", "3", "--seed", "1") == first
    assert run.facts("evaluate", "run", "--episodes", "3", "--seed", "2") != first
    assert snapshot(Path("run")) == before


def test_the_report_is_written(run: Cli) -> None:
    """Into the run folder."""
    run("tune", "study.toml", "--run-dir", "run")
    assert run("report", "run") == 0
    assert Path("run/report.html").is_file()


@pytest.mark.parametrize("file_format", ["csv", "parquet", "tensorboard", "optuna"])
def test_a_study_is_exported(run: Cli, file_format: str) -> None:
    """Also one that is not done; what is there is not overwritten, and the study is untouched."""
    run("tune", "study.toml", "--run-dir", "run")
    before = snapshot(Path("run"))
    facts = run.facts("export", "run", "--format", file_format, "--out", "out")
    assert (facts["path"], facts["format"]) == ("out", file_format)
    assert Path("out").exists()
    assert snapshot(Path("run")) == before
    assert run("export", "run", "--format", file_format, "--out", "out") == ExitCode.CONFIG
    assert "choose a new one with --out" in run.err
    assert run("export", "nowhere", "--format", file_format, "--out", "other") == ExitCode.STORAGE
    assert not Path("other").exists()


def test_help_is_instant() -> None:
    """Neither JAX nor NumPy nor pydantic is imported to say what the commands are."""
    code = """
import sys
from cartwheel.cli import app as cli
try:
    cli.main(["--help"])
except SystemExit:
    pass
heavy = {"jax", "numpy", "pydantic", "gymnasium", "matplotlib", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


UNREAD = """
import sys
from synthetic_executor import SyntheticBackend, replace_agents
from cartwheel.cli import app as cli

backend = SyntheticBackend()
replace_agents(backend)
cli.main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["tune", "study.toml", "--run-dir", "new"], ExitCode.DONE),
        (["status", "run"], ExitCode.DONE),
        (["schedule", "run"], ExitCode.DONE),
        (["status", "nowhere"], ExitCode.STORAGE),
    ],
)
def test_nobody_reading_changes_nothing(run: Cli, words: list[str], code: ExitCode) -> None:
    """Standard output is a pipe whose reader has gone: no traceback, and the exit code is that of the work."""
    assert run("tune", "study.toml", "--run-dir", "run") == 0
    reader, writer = os.pipe()
    os.close(reader)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", UNREAD, *words]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, env=env, check=False)
    os.close(writer)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    assert "BrokenPipe" not in ended.stderr


SLOW_STUDY = """
import sys, time
from synthetic_executor import SyntheticBackend, SyntheticExecutor, replace_agents
from cartwheel.cli import app as cli

class Slow(SyntheticExecutor):
    def next_outcomes(self, timeout_s):
        outcomes = super().next_outcomes(timeout_s)
        print("alive", flush=True)
        time.sleep(float(sys.argv[1]))
        return outcomes

backend = SyntheticBackend()
backend.executor_class = Slow
replace_agents(backend)
cli.main(["tune", "study.toml", "--run-dir", "run", "--quiet"])
"""


def slow_study(pause_s: float) -> "subprocess.Popen[str]":
    """A study in a process of its own, which has begun to run."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_STUDY, str(pause_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "alive\n"
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_stops_resumably(run: Cli, number: signal.Signals, code: int) -> None:
    """Within seconds, without a traceback, with the shell's exit code; the same command then ends the study."""
    process = slow_study(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (code, "")
    assert run.facts("status", "run")["state"] == "stopped, resumable"
    assert run("tune", "study.toml", "--run-dir", "run") == ExitCode.DONE
    assert run("tune", "study.toml", "--run-dir", "whole") == ExitCode.DONE
    assert snapshot(Path("run")) == snapshot(Path("whole"))


def test_the_second_signal_stops_at_once(run: Cli) -> None:
    """Even if the executor does not listen; the study can be resumed all the same."""
    process = slow_study(30.0)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT
    assert run("tune", "study.toml", "--run-dir", "run") == ExitCode.DONE


def test_a_report_knows_of_reruns(run: Cli) -> None:
    """Before them nothing can be said; then what the new agents returned, until the study has gone on."""
    run("tune", "study.toml", "--run-dir", "run")
    run("report", "run")
    assert "has not been followed anew on fresh seeds" in Path("run/report.html").read_text()
    assert run("rerun", "run", "--seeds", "3") == 0
    assert "on 3 fresh seeds returned" in run.out
    assert "next: cartwheel report run\n" in run.out
    run("report", "run")
    page = Path("run/report.html").read_text()
    assert "has not been followed anew" not in page
    assert "new agents under its schedule on 3 fresh seeds returned" in page
    run("tune", "study.toml", "--episodes", "6", "--run-dir", "run")
    run("report", "run")
    assert "has not been followed anew on fresh seeds" in Path("run/report.html").read_text()


@pytest.mark.parametrize("option", ["--tuner.name=asha", "--tuner.population=3", "--space.name=small"])
def test_train_takes_nothing_of_tuning(run: Cli, option: str) -> None:
    """What would be ignored is refused, and the study file of a training has none of it."""
    assert run("train", "--env-id", "line", "--episodes", "2", option) == ExitCode.USAGE
    assert "nobody tunes here" in run.err
    assert run("train", "study.toml", "--run-dir", "run") == 0
    assert not {"tuner", "space"} & tomllib.loads(Path("run/study.toml").read_text()).keys()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--env-id", "line"], "num_episodes is missing (--episodes); give --episodes, or a study file"),
        (["--episodes", "2"], "env_id is missing (--env-id); give --env-id, or a study file"),
    ],
)
def test_what_is_missing_is_named_as_an_option(run: Cli, words: list[str], part: str) -> None:
    assert run("tune", *words) == ExitCode.CONFIG
    assert part in run.err


@pytest.mark.parametrize("settings", [["--tuner", "pbtt"], ["--tuner.populaton", "3"], ["--tuner.population", "three"]])
def test_a_dry_run_checks_the_tuner_first(run: Cli, settings: list[str]) -> None:
    """One line, as without it, and before anything is measured."""
    assert run("tune", "--env-id", "line", "--episodes", "2", "--dry-run", *settings) == ExitCode.CONFIG
    assert run.err.count("\n") == 1
