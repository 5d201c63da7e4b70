"""Files that the user names: read whole if they are of a sensible size, with errors that say what is wrong."""

from pathlib import Path

from cartwheel.errors import ConfigError

MAX_FILE_BYTES = 2**20


def read_user_file(path: Path, what: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """The bytes of a file; ``what`` the user takes it for, such as "study file".

    Raises ConfigError if it cannot be read or is larger than ``max_bytes``.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ConfigError(f"cannot read the {what}: {error.strerror}", str(path), "check the name") from error
    if len(data) > max_bytes:
        raise ConfigError(f"larger than {max_bytes} bytes", str(path), f"is it a {what}?")
    return data
