"""What a machine does in a second, and what an agent asks of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds of a device, measured while all of them work and all lanes of each are busy.

    ``compile_s``: until it has a program that it never had, if there are several; ``load_s``: until it has one that it
    had before, from the cache of compiled programs if there is one. ``step_s``: an env step without planning.
    ``plan_s``: a multiply-add of planning, or an env step of a plan that is simulated. ``fit_s``: a fit but for its
    epochs, ``update_s``: a multiply-add of a network and a row in an epoch.
    """

    compile_s: float
    load_s: float
    step_s: float
    plan_s: float
    fit_s: float
    update_s: float


@dataclass(frozen=True, slots=True)
class Work:
    """The arithmetic of one agent's episode: of every env step's plan, and of a fit to one row. Units as ``Rates``."""

    plan: float
    fit: float
