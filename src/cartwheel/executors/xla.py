"""What XLA is told by its environment, which it reads once, when JAX starts. Imports no JAX: it must come before that.

On a GPU, XLA times several kernels for an operation and keeps the fastest, so that which one computes a result can
differ from process to process; and some kernels add in an order that differs from run to run. Deterministic, it
excludes the latter (``xla_gpu_deterministic_ops``: "Guarantees run-to-run determinism on GPU", by its own help) and
times nothing (``xla_gpu_autotune_level``). A CPU has neither problem, and ignores both flags.
"""

import os
import sys

from cartwheel.errors import ConfigError

DETERMINISTIC = ("--xla_gpu_deterministic_ops=true", "--xla_gpu_autotune_level=0")
FLAGS = "XLA_FLAGS"


def make_deterministic() -> None:
    """Have XLA compute the same bits in every process, here and in processes that this one starts.

    Raises ConfigError if JAX has started without.
    """
    given = os.environ.get(FLAGS, "").split()
    missing = [flag for flag in DETERMINISTIC if flag not in given]
    if not missing:
        return
    if has_started():
        cause = "JAX has already started in this process, and kernels are chosen from then on"
        step = f"run the study in a process of its own, or set {FLAGS}='{' '.join(DETERMINISTIC)}' before"
        raise ConfigError(cause, "engine.deterministic", step)
    os.environ[FLAGS] = " ".join([*given, *missing])


def share_gpus() -> None:
    """Have JAX take a GPU's memory as it needs it, and not three quarters at once: several processes use it."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def has_started() -> bool:
    """Whether JAX has been used in this process. Until then, and no longer, the number of CPU devices may change."""
    if "jax" not in sys.modules:
        return False
    import jax

    before = jax.config.jax_num_cpu_devices  # type: ignore[attr-defined] # options are attributes, by name
    try:
        jax.config.update("jax_num_cpu_devices", before + 1)
    except RuntimeError:
        return True
    jax.config.update("jax_num_cpu_devices", before)
    return False
