"""Nothing that is read runs code, becomes a path, or is written into a page as markup."""

import ast
import stat
from html.parser import HTMLParser
from pathlib import Path

import pytest

import cartwheel
from cartwheel.analysis.tables import StudyTables
from cartwheel.errors import ConfigError, StorageError
from cartwheel.executors.devices import user_compile_cache
from cartwheel.records import CheckpointId
from cartwheel.report.page import render_page
from cartwheel.spec import load_spec, parse_spec
from cartwheel.store.checkpoints import CheckpointStore
from cartwheel.tuning import default_run_dir
from synthetic_executor import small_spec

SOURCE = Path(cartwheel.__file__).parent
RUNS_CODE = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code", "runpy", "imp"}
CALLS_CODE = {"eval", "exec", "compile", "__import__"}
EXCEPTIONS = {
    (
        "task_files.py",
        "exec",
    ): "the Python file that the command line names with --task-file, never one that a file names",
    ("task_files.py", "compile"): "the same",
}
"""Why these are no way from a stored file to code."""


def found_in(tree: ast.AST) -> set[str]:
    """Modules that load code from data, and built-in functions that run it."""
    found = set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found |= {name.name.split(".")[0] for name in names} & RUNS_CODE
            case ast.ImportFrom(module=str(module)):
                found |= {module.split(".")[0]} & RUNS_CODE
            case ast.Call(func=ast.Name(id=name)) if name in CALLS_CODE:
                found.add(name)
            case ast.keyword(arg="allow_pickle", value=value) if not _is_false(value):
                found.add("allow_pickle")
    return found


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def test_no_source_runs_what_it_reads() -> None:
    """No pickle, marshal, eval or their like anywhere in the package, but for the exceptions with their reasons."""
    found = {
        (path.relative_to(SOURCE).as_posix(), what)
        for path in SOURCE.rglob("*.py")
        for what in found_in(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == EXCEPTIONS.keys()


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from pickle import loads", "import dill.source", "eval('1')", "f(allow_pickle=True)"],
)
def test_the_search_finds(source: str) -> None:
    """What it is for."""
    assert found_in(ast.parse(source))


DEEP = "x = " + "[" * 5000 + "]" * 5000
HUGE = "#" * (2**20 + 1)


@pytest.mark.parametrize(
    "text", [DEEP, HUGE, "[" * 100_000, "a." * 5000 + "b = 1", "x = " + "{a=" * 5000 + "1" + "}" * 5000]
)
def test_study_files_have_limits_of_size_and_depth(tmp_path: Path, text: str) -> None:
    """One clear error, whatever is nested or repeated how often."""
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"study\.toml"):
        load_spec(path, {})


@pytest.mark.parametrize("name", ["../../etc", "/etc/passwd", "..", ".", "a/b", "a\\b", "a\0b", "~root", "", "x" * 200])
def test_names_never_become_paths(name: str, tmp_path: Path) -> None:
    """An environment's id gives the folder of a study its name, and nothing but its name; a digest is 64 digits."""
    path = default_run_dir(small_spec(env_id=name or "x"))
    assert path.parent == Path("runs")
    assert path.name not in {"", ".", ".."}
    assert len(path.name) <= 100
    with pytest.raises(ValueError, match="not a checkpoint digest"):
        CheckpointStore(tmp_path).path(CheckpointId(name))


def test_an_environment_that_names_a_module_is_not_imported(tmp_path: Path) -> None:
    """From a file it would be code: only an explicit flag on the command line allows it."""
    from cartwheel.study_agents import agent_setup

    (tmp_path / "study.toml").write_text('env_id = "os.path:Evil-v0"\nnum_episodes = 1\n')
    spec = load_spec(tmp_path / "study.toml", {})
    with pytest.raises(ConfigError, match="Evil"):
        agent_setup(spec, [{}])


def test_settings_that_are_no_table_are_refused() -> None:
    """Whatever a damaged or hostile run folder has in the place of a spec."""
    for nonsense in ({"env_id": 3}, {"env_id": "line", "tuner": []}, {"env_id": "line", "space": {"name": "../x"}}):
        with pytest.raises(ConfigError):
            parse_spec(nonsense, {}).make_space()


class Tags(HTMLParser):
    """All tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u202e"


def test_whatever_a_study_is_called_the_page_stays_ours(made_up: StudyTables) -> None:
    """Names of the study, the environment, hyperparameters, settings and reasons are text, never markup."""
    import dataclasses

    from cartwheel.records import Report

    id_, report = next(iter(made_up.reports.items()))
    failed = Report(report.segment, "failed", report.episodes, None, 0.0, EVIL)
    segments = {
        key: dataclasses.replace(segment, config={**segment.config, EVIL: EVIL}, origin=EVIL)
        for key, segment in made_up.segments.items()
    }
    hostile = dataclasses.replace(
        made_up,
        meta={**made_up.meta, "name": EVIL, "env_id": EVIL, "tuner": EVIL},
        settings={EVIL: {EVIL: EVIL}},
        environment={EVIL: EVIL},
        segments=segments,
        reports={**made_up.reports, id_: failed},
    )
    tame, page = Tags(render_page(made_up)), Tags(render_page(hostile))
    assert set(page.tags) <= set(tame.tags)
    assert "script" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]


@pytest.fixture
def made_up() -> StudyTables:
    from made_up_study import made_up_study

    return made_up_study()


def test_the_folder_of_compiled_programs_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in it is executed: nobody else may read or write there, also where it was open before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "cartwheel" / "compiled").mkdir(parents=True)
    (tmp_path / "cartwheel" / "compiled").chmod(0o777)
    folder = user_compile_cache()
    assert folder is not None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_hostile_array_is_refused_before_it_is_made(tmp_path: Path) -> None:
    """A checkpoint that claims more than it holds costs no memory, whoever computed its digest."""
    import hashlib
    import json
    import struct

    entry = {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}
    content = json.dumps({"__metadata__": {"manifest": "{}"}, "huge": entry}).encode()
    data = struct.pack("<Q", len(content)) + content
    digest = CheckpointId(hashlib.sha256(data).hexdigest())
    store = CheckpointStore(tmp_path)
    store.path(digest).write_bytes(data)
    with pytest.raises(StorageError, match="damaged"):
        store.read(digest)
