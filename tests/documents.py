"""The documents of the repository, and their fenced blocks."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.DOTALL | re.MULTILINE)


def command_lines(path: Path) -> list[str]:
    """The command lines of a document, continued lines joined and comments left out."""
    text = "\n".join(blocks(path, "sh")).replace("\\\n", " ")
    told = (re.sub(r"\s+#.*", "", line).strip() for line in text.splitlines())
    return [line for line in told if line and not line.startswith("#")]
