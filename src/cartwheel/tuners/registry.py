"""Tuners by name. A new one is one file and one line in ``TUNERS``."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cartwheel.errors import did_you_mean
from cartwheel.spaces.space import Space
from cartwheel.tuners import fixed, random_search
from cartwheel.tuners.base import Tuner
from cartwheel.tuners.halving import asha, bohb, dehb, hyperband, successive_halving
from cartwheel.tuners.models import model_based
from cartwheel.tuners.nested import Nested, draw_shapes
from cartwheel.tuners.populations import ipbt, mf_pbt, pb2, pbt, pbt_asynchronous, pbt_bt, pbt_settings
from cartwheel.tuners.replicates import Replicated, ReplicatesSettings

NUM_SHAPES = "num_shapes"
"""The setting that all dynamic tuners share: how many draws of the static parameters get a tuner each."""


@dataclass(frozen=True, slots=True)
class TunerEntry:
    """``construct(space, seed, num_episodes, settings)``; ``presets``: named settings; ``fixed``: settings that make it
    this tuner and cannot be chosen; ``is_synchronous``: nothing that the tuner decides depends on the number of workers
    or on the order of completion; ``is_seeded``: its configs depend on the seed; ``stops_early``: it ranks who trained
    for longer first; ``is_dynamic``: it changes configs while agents train, or copies agents, so it cannot search
    static parameters; ``has_population``: its trials are called members; ``rehearsed_with``: settings that spare
    ``rehearsal`` the work of choosing configs."""

    settings: type
    construct: Callable[[Space, int, int, Any], Tuner]
    presets: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    is_synchronous: bool = True
    is_seeded: bool = True
    stops_early: bool = False
    is_dynamic: bool = False
    has_population: bool = False
    rehearsed_with: Mapping[str, Any] = dataclasses.field(default_factory=dict)


_population = partial(TunerEntry, is_dynamic=True, has_population=True)
TUNERS: Mapping[str, TunerEntry] = {
    "random-search": TunerEntry(random_search.RandomSearchSettings, random_search.random_search),
    "successive-halving": TunerEntry(
        successive_halving.SuccessiveHalvingSettings, successive_halving.successive_halving, stops_early=True
    ),
    "hyperband": TunerEntry(
        hyperband.HyperbandSettings, hyperband.hyperband, {"aistats2021": hyperband.AISTATS2021}, stops_early=True
    ),
    "tpe": TunerEntry(model_based.ModelBasedSettings, model_based.tpe),
    "gp": TunerEntry(model_based.ModelBasedSettings, model_based.gp),
    "cma-es": TunerEntry(model_based.CmaEsSettings, model_based.cma_es),
    "bohb": TunerEntry(bohb.BohbSettings, bohb.Bohb, stops_early=True, rehearsed_with={"random_fraction": 1.0}),
    "dehb": TunerEntry(dehb.DehbSettings, dehb.Dehb, stops_early=True),
    "asha": TunerEntry(asha.AshaSettings, asha.Asha, is_synchronous=False, stops_early=True),
    "pbt": _population(pbt_settings.PbtSettings, pbt.pbt, pbt_settings.PRESETS),
    "pbt-asynchronous": _population(
        pbt_settings.PbtSettings, pbt_asynchronous.AsynchronousPbt, pbt_settings.PRESETS, is_synchronous=False
    ),
    "pbt-bt": _population(pbt_bt.PbtBtSettings, pbt_bt.pbt_bt, {"aistats2021": pbt_bt.AISTATS2021}),
    "mf-pbt": _population(mf_pbt.MfPbtSettings, mf_pbt.mf_pbt, {"doulazmi2025": mf_pbt.DOULAZMI2025}),
    "pb2": _population(
        pb2.Pb2Settings,
        pb2.pb2,
        {"parkerholder2020": pb2.PARKERHOLDER2020},
        rehearsed_with={"window_segments": pb2.MIN_GAINS},
    ),
    "ipbt": _population(ipbt.IpbtSettings, ipbt.ipbt, {"chebykin2025": ipbt.CHEBYKIN2025}),
    "fixed": TunerEntry(fixed.FixedSettings, fixed.fixed, is_seeded=False),
    "fixed-schedule": TunerEntry(fixed.FixedScheduleSettings, fixed.fixed_schedule, is_seeded=False),
    "selection-only": _population(pbt_settings.PbtSettings, pbt.pbt, fixed={"explore": "none"}),
}


COMMON = get_type_hints(ReplicatesSettings)
"""Names and types of the settings that every static tuner has."""


def make_tuner(name: str, settings: Mapping[str, Any], space: Space, seed: int, num_episodes: int) -> Tuner:
    """The tuner of that name for ``num_episodes`` model-driven episodes per trial.

    ``settings`` are plain values; ``preset`` names a set of them, which the others override. Raises ValueError naming
    tuner, setting and cause.
    """
    entry = _entry(name)
    if num_episodes < 1:
        raise ValueError(f"tuner {name!r}: num_episodes must be at least 1, got {num_episodes}")
    chosen, together = tuner_settings(name, settings), replicates_settings(name, settings)
    try:
        if entry.is_dynamic and NUM_SHAPES in settings:
            return _nested(entry, settings[NUM_SHAPES], space, seed, num_episodes, chosen)
        if entry.is_dynamic and space.static_names:
            raise ValueError(_why_not_static(space.static_names))
    except ValueError as error:
        raise ValueError(f"tuner {name!r}: {error}") from None
    tuner = entry.construct(space, seed, num_episodes, chosen)
    return tuner if together.replicates == 1 else Replicated(tuner, together)


def noun_of_trial(name: str) -> str:
    """What a reader calls a trial of that tuner, which may be unknown: population-based ones have members."""
    return "member" if name in TUNERS and TUNERS[name].has_population else "trial"


def tuner_settings(name: str, settings: Mapping[str, Any]) -> Any:
    """The validated settings, with presets and defaults filled in: a frozen dataclass of that tuner.

    What dynamic tuners have in common, ``num_shapes``, is checked and not in it.
    """
    entry = _entry(name)
    own = {key: value for key, value in settings.items() if key not in COMMON}
    try:
        return _validated(entry, own)
    except ValueError as error:
        raise ValueError(f"tuner {name!r}: {error}") from None


def replicates_settings(name: str, settings: Mapping[str, Any]) -> ReplicatesSettings:
    """Those of the settings that every static tuner has: how many seeds a trial gets, and how they are scored."""
    given = {key: value for key, value in settings.items() if key in COMMON}
    try:
        chosen = ReplicatesSettings(**{key: _typed(key, value, COMMON[key]) for key, value in given.items()})
    except ValueError as error:
        raise ValueError(f"tuner {name!r}: {error}") from None
    if chosen.replicates > 1 and _entry(name).is_dynamic:
        raise ValueError(
            f"tuner {name!r}: replicates are for static tuners: here agents copy each other, so no two of them are "
            "seeds of the same trial; repeat the study under another seed instead"
        )
    return chosen


def _entry(name: str) -> TunerEntry:
    if name not in TUNERS:
        raise ValueError(f"no tuner {name!r}: {did_you_mean(name, TUNERS)}")
    return TUNERS[name]


def _nested(entry: TunerEntry, num_shapes: int, space: Space, seed: int, num_episodes: int, settings: Any) -> Tuner:
    """Such a tuner for each of a few draws of the static parameters."""

    def inner(rest: Space, inner_seed: int) -> Tuner:
        return entry.construct(rest, inner_seed, num_episodes, settings)

    shapes = draw_shapes(space, seed, num_shapes, getattr(settings, "default_first", False))
    return Nested(space, seed, shapes, inner, entry.stops_early)


def _why_not_static(names: Sequence[str]) -> str:
    static = [name for name, entry in TUNERS.items() if not entry.is_dynamic]
    return (
        f"it gives trained agents new configs, but {', '.join(names)} cannot change in a trained agent (is_static): "
        f"give {NUM_SHAPES}, so many draws of them with a tuner each, or fix them in [agent], or use a static tuner "
        f"({', '.join(static)})"
    )


def _validated(entry: TunerEntry, settings: Mapping[str, Any]) -> Any:
    given = dict(settings)
    preset = given.pop("preset", None)
    if preset is not None and preset not in entry.presets:
        raise ValueError(f"no preset {preset!r}: {did_you_mean(str(preset), entry.presets)}")
    types = {key: kind for key, kind in get_type_hints(entry.settings).items() if key not in entry.fixed}
    types |= {NUM_SHAPES: int} if entry.is_dynamic else {}
    for key in sorted(given.keys() - types.keys()):
        raise ValueError(f"no setting {key!r}: {did_you_mean(key, types | COMMON)}")
    chosen = {**(entry.presets[preset] if preset is not None else {}), **given}
    typed = {key: _typed(key, value, types[key]) for key, value in chosen.items()}
    typed.pop(NUM_SHAPES, None)
    return entry.settings(**entry.fixed, **typed)


def _typed(key: str, value: Any, wanted: Any) -> Any:
    if get_origin(wanted) is Literal:
        if value not in get_args(wanted):
            raise ValueError(f"{key} must be one of {', '.join(get_args(wanted))}, got {value!r}")
        return value
    if get_origin(wanted) is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{key} must be a list, got {value!r}")
        return tuple(_typed(f"each of {key}", entry, get_args(wanted)[0]) for entry in value)
    if get_origin(wanted) is Mapping:
        if not isinstance(value, Mapping):
            raise ValueError(f"{key} must be a table, got {value!r}")
        return dict(value)
    if wanted is float and type(value) is int:
        return float(value)
    # exactly that type: a boolean is an int to isinstance
    if type(value) is not wanted:
        raise ValueError(f"{key} must be of type {wanted.__name__}, got {value!r}")
    return value
