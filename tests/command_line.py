"""The command line in tests: on the synthetic agent, in this process, and what it printed."""

import json
from typing import Any

import pytest

from cartwheel.cli import app as cli
from synthetic_executor import SyntheticBackend, replace_agents


def without_jax(monkeypatch: pytest.MonkeyPatch) -> SyntheticBackend:
    """The backend that trains the synthetic agent for all commands from now on."""
    synthetic = SyntheticBackend()
    replace_agents(synthetic, monkeypatch.setattr)
    return synthetic


class Cli:
    """Runs commands; keeps what the last one printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.out = self.err = ""

    def __call__(self, *tokens: str) -> int:
        with pytest.raises(SystemExit) as ended:
            cli.main(tokens)
        self.out, self.err = self.capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code

    def facts(self, *tokens: str) -> dict[str, Any]:
        """What a command that must succeed says as JSON; without ``tokens``, what the last one said."""
        if tokens:
            assert self(*tokens, "--json") == 0
        facts: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return facts
