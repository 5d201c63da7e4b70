"""The type checker that holds array shapes in annotations to what really arrives; see ``conftest.py``."""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

# an int is a fine float here, as it is for every static type checker
_strict = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check arguments and result, but not what containers hold: on their way to a device that is NumPy arrays."""
    return function if function.__name__ == "__init__" else _strict(function)
