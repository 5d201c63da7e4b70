"""A user's file is read whole or refused: never cut."""

from pathlib import Path

import pytest

from cartwheel.cli.commands import read_config
from cartwheel.errors import ConfigError
from cartwheel.user_files import read_user_file


def test_a_file_is_read_whole_or_refused(tmp_path: Path) -> None:
    """Up to its limit; one byte more names the file and asks what it is."""
    path = tmp_path / "file"
    path.write_bytes(b"12345678")
    assert read_user_file(path, "study file", 8) == b"12345678"
    with pytest.raises(ConfigError, match=r"larger than 7 bytes.*file.*is it a study file\?"):
        read_user_file(path, "study file", 7)
    with pytest.raises(ConfigError, match="cannot read the study file: No such file"):
        read_user_file(tmp_path / "absent", "study file")


def test_a_config_that_is_too_large_is_not_cut(tmp_path: Path) -> None:
    """What lies behind the limit counts as well: here it is a value."""
    path = tmp_path / "config.toml"
    path.write_text("# " + "x" * 2**20 + "\nlearning_rate = 1e-3\n")
    with pytest.raises(ConfigError, match="is it a config file"):
        read_config(path)
