"""What every tuner has to beat, each a study of its own with as many episodes in all.

- ``default``: replicates of the default config, of which the best is chosen just as a tuner's best is;
- ``random-search``: full-length runs of independent draws;
- ``selection-only``: a population that copies and never changes a value.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from cartwheel.analysis.tables import counts
from cartwheel.errors import ConfigError
from cartwheel.results import Study
from cartwheel.seeds import seed_integer
from cartwheel.spec import StudySpec, parse_spec
from cartwheel.tuners.registry import TUNERS, tuner_settings

DEFAULT = "default"
RANDOM_SEARCH = "random-search"
SELECTION_ONLY = "selection-only"
CONTROLS = (DEFAULT, RANDOM_SEARCH, SELECTION_ONLY)
TUNER_OF = {DEFAULT: "fixed", RANDOM_SEARCH: RANDOM_SEARCH, SELECTION_ONLY: SELECTION_ONLY}
"""Which tuner does it."""


def control(study: Study, spec: StudySpec, name: str) -> StudySpec | None:
    """The control of that name for a study that is done; None where there is none: a dynamic one of static parameters.

    Its seed is a function of the study's and of its name: under the study's own seed Random Search would draw what
    PBT's first population was. Where the study's episodes are no multiple of a whole training, it gets the larger
    share.
    """
    num_agents = -(-counts(study.tables).num_episodes // (spec.num_episodes + 1))
    tuner = {"name": TUNER_OF[name], **_size(spec, name, num_agents)}
    if spec.space.name is not None:  # it starts from where the study did
        spec = spec.with_space_defaults({**spec.space.defaults, **study.tables.space.default})
    tables = {**spec.to_dict(), "seed": seed_integer("control", name, spec.seed), "tuner": tuner}
    made = parse_spec(tables, {}, f"the control {name}")
    try:
        made.make_tuner()
    except ConfigError:
        if made.make_space().static_names and TUNERS[TUNER_OF[name]].is_dynamic:
            return None
        raise
    return made


def is_control(tuner: str) -> bool:
    """Whether a tuner is one of them."""
    return tuner in TUNER_OF.values()


def _size(spec: StudySpec, name: str, num_agents: int) -> Mapping[str, Any]:
    """As many agents; selection in the rhythm of the study's own tuner, where that has a population."""
    if name != SELECTION_ONLY:
        return {"num_trials": num_agents}
    names = {field.name for field in dataclasses.fields(TUNERS[SELECTION_ONLY].settings)} - set(
        TUNERS[SELECTION_ONLY].fixed
    )
    settings = {key: value for key, value in spec.tuner.settings.items() if key != "num_shapes"}
    own = tuner_settings(spec.tuner.name, settings)
    rhythm = ("first_interval_episodes", "interval_episodes", "keep_fraction", "donor_fraction", "fractions_of")
    return {"population": num_agents} | {key: getattr(own, key) for key in rhythm if key in names and hasattr(own, key)}
