"""The whole way once with real agents: a suite of two arms, tested on common seeds."""

import math
from pathlib import Path

import pytest

from cartwheel.backend import AgentBackend
from cartwheel.evidence.suite_spec import load_suite
from cartwheel.evidence.suites import read_suite, run_suite
from cartwheel.report.evidence_page import Evidence, write_evidence
from cartwheel.tuning import Running

SUITE = """
tuner_seeds = 1
num_agents = 2
tests = { num_seeds = 2, num_episodes = 1 }
[study]
num_episodes = 2
episode_length = 10
validation = { num_episodes = 1 }
agent = { num_layers = 1, width = 16 }
[tasks.line]
[arms.default.tuner]
name = "fixed"
[arms.pbt.tuner]
name = "pbt"
first_interval_episodes = 1
interval_episodes = 1
"""


@pytest.mark.slow
def test_a_suite_of_agents_is_tuned_tested_and_told(tmp_path: Path) -> None:
    """Every agent plays every test seed, every rerun ends well, and the page says what it rests on."""
    (tmp_path / "suite.toml").write_text(SUITE)
    suite = load_suite(tmp_path / "suite.toml")

    def step(title, num_episodes, action):  # type: ignore[no-untyped-def]
        return action(Running(backend=AgentBackend(has_compile_cache=False)))

    assert run_suite(suite, tmp_path / "runs", step)
    studies = read_suite(suite, tmp_path / "runs")
    for one in studies:
        assert set(one.result.agent) == set(one.result.rerun) == {0, 1}
        assert all(map(math.isfinite, [*one.result.agent.values(), *one.result.rerun.values()]))
        assert one.result.device_s > 0
    page, headlines = write_evidence(tmp_path / "page", "agents", Evidence(studies), lambda text: None)
    assert page.is_file()
    assert "IQM over 1 tuner seed and 2 test seeds" in headlines[0]
