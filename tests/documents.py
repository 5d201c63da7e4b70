"""The documents of the repository, and their fenced blocks."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.DOTALL | re.MULTILINE)
