"""What a machine does in a second, and what an agent asks of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds of a device, measured while all of them work and all lanes of each are busy.

    ``step_s``: an env step without planning. ``plan_s``: a multiply-add of planning. ``fit_s``: a fit but for its
    epochs, ``update_s``: a multiply-add of a network and a row in an epoch. ``compile_s``: until all devices have
    their programs.
    """

    compile_s: float
    step_s: float
    plan_s: float
    fit_s: float
    update_s: float


@dataclass(frozen=True, slots=True)
class Work:
    """The arithmetic of one agent's episode: multiply-adds of every env step's plan, and of a fit to one row."""

    plan: float
    fit: float
