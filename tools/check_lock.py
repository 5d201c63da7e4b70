"""Checks requirements.lock: every dependency pinned and hashed, no address in it, nothing that pulls in gigabytes."""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

FORBIDDEN = re.compile(r"https?://|^(torch|nvidia|triton|tensorflow)[-=]", re.MULTILINE)


def problems(lock: str, project: dict[str, Any]) -> list[str]:
    """What is wrong with a lock file for this ``[project]`` table; empty if nothing is."""
    found = [f"forbidden: {match.group()}" for match in FORBIDDEN.finditer(lock)]
    entries = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==\S+(.*(?:\n    .*)*)", lock, re.MULTILINE)
    pinned = {name.lower().replace("_", "-") for name, _ in entries}
    found += [f"no hash: {name}" for name, rest in entries if "--hash=sha256:" not in rest]
    extras = project["optional-dependencies"]
    # "cartwheel[optuna]" among them stands for the requirements of that extra
    own = next(
        (re.findall(r"[\w-]+", entry)[1:] for entry in extras["dev"] if entry.startswith(f"{project['name']}[")), []
    )
    wanted = [*project["dependencies"], *extras["dev"], *(entry for extra in own for entry in extras[extra])]
    names = {re.split(r"[\[<>=~!; ]", requirement)[0].lower() for requirement in wanted} - {project["name"]}
    return found + [f"not locked: {name}; run `make lock`" for name in sorted(names - pinned)]


if __name__ == "__main__":
    root = Path(__file__).parent.parent
    table = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    complaints = problems((root / "requirements.lock").read_text(), table)
    print("\n".join(f"requirements.lock: {line}" for line in complaints) or "requirements.lock: ok")
    sys.exit(bool(complaints))
