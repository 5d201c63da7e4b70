"""Spaces by name or from files, and as text: our TOML, ConfigSpace's JSON, Optuna's distributions in JSON."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from cartwheel.errors import ConfigError, did_you_mean
from cartwheel.spaces.configspace import from_configspace_json, to_configspace_json
from cartwheel.spaces.named import SPACES, get_space
from cartwheel.spaces.optuna_distributions import from_optuna_json, to_optuna_json
from cartwheel.spaces.parameters import Group
from cartwheel.spaces.space import Space
from cartwheel.spec import load_spec
from cartwheel.toml_text import toml_text
from cartwheel.user_files import read_user_file

SpaceFormat: TypeAlias = Literal["toml", "configspace", "optuna"]

_WRITERS: Mapping[SpaceFormat, Callable[[Space], str]] = {
    "toml": lambda space: toml_text({"space": {"parameters": space.to_dict()}}),
    "configspace": to_configspace_json,
    "optuna": to_optuna_json,
}


def space_text(space: Space, format_: SpaceFormat) -> str:
    """The space as text; as TOML, it is the table ``[space]`` of a study file. Raises ValueError on another format."""
    if format_ not in _WRITERS:
        raise ValueError(f"no format {format_!r}: {did_you_mean(format_, get_args(SpaceFormat))}")
    return _WRITERS[format_](space)


def read_space(source: str, group: Group = "model") -> Space:
    """The space of that name, of a study file (.toml), or of a file of ConfigSpace or Optuna (.json).

    ``group``: of parameters that do not say. Raises ConfigError.
    """
    if source in SPACES:
        return get_space(source)
    path = Path(source)
    if path.suffix == ".toml":
        return load_spec(path, {}).make_space()
    if path.suffix != ".json":
        step = "give a name, a study file (.toml) or a file of ConfigSpace or Optuna (.json)"
        raise ConfigError(f"no space {source!r}: {did_you_mean(source, SPACES)}", "", step)
    try:
        return space_from_json(read_user_file(path, "space file").decode(), group)
    except (ValueError, RecursionError) as error:
        raise ConfigError(str(error), str(path), "correct the file") from error


def space_from_json(text: str, group: Group = "model") -> Space:
    """The space of ConfigSpace's or Optuna's JSON, whichever it is. Raises ValueError."""
    data = json.loads(text)
    if isinstance(data, dict) and "hyperparameters" in data:
        return from_configspace_json(text, group)
    if isinstance(data, dict) and "distributions" in data:
        return from_optuna_json(text, group)
    raise ValueError("neither 'hyperparameters', as of ConfigSpace, nor 'distributions', as of Optuna")
