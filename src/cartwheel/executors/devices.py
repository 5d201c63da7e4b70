"""What this machine's share of JAX is: its cores as devices, and where compiled programs are remembered."""

import contextlib
import os
from pathlib import Path

import jax

from cartwheel.records import MAX_LANES


def prepare_jax(compile_cache: Path | None, num_devices: int | None = None) -> None:
    """Give JAX so many CPU devices, by default one per core, and a folder for compiled programs (None: no memory).

    Must come before JAX is used; the devices stay as they are when it comes too late.
    """
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", num_devices or num_cores())
    if compile_cache is not None:
        jax.config.update("jax_compilation_cache_dir", str(compile_cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


SPREAD_FROM = 1.5e9
"""Multiply-adds of a plan from which on an agent that trains alone plans on all cores: docs/performance.md. The
smallest size that has gained on two cores with other programs beside it takes 1.8e9; at 0.6e9 the gain is gone then."""


def devices_for(spreads_plans: bool) -> int:
    """One CPU device per core; at least two where plans are spread: bits are the same for any number but one."""
    return max(num_cores(), 2) if spreads_plans else num_cores()


def default_lanes(platform: str, num_agents: int, num_devices: int, lane_bytes: int, free_bytes: int | None) -> int:
    """How many agents share a program where a study does not say (docs/decisions/0005).

    1 on CPUs. On GPUs as many as there are at a time, shared out over the devices, and no more than fit into a device's
    free memory (None: nobody knows it) or a program may have.
    """
    if platform == "cpu":
        return 1
    wanted = min(MAX_LANES, -(-num_agents // num_devices))
    fitting = wanted if free_bytes is None else free_bytes // lane_bytes
    return max(1, min(wanted, fitting))


def num_cores() -> int:
    """Cores that this process may use, which can be fewer than the machine has."""
    has_affinity = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1


def user_compile_cache() -> Path | None:
    """The user's own folder for compiled programs, made private; None if it cannot be made.

    What lies in it is executed, so nobody else may write there, and it is never taken from a run folder.
    """
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root) / "cartwheel" / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    except OSError:
        return None
    return folder if folder.stat().st_uid == os.getuid() else None
