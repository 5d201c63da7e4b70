"""Settings for all tests. This folder is on the import path, so tests share the modules beside this file."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

# before JAX is imported by anyone: nothing is promoted or broadcast silently, and there is a second device
os.environ["JAX_NUMPY_DTYPE_PROMOTION"] = "strict"
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
os.environ["JAX_NUM_CPU_DEVICES"] = "2"
# most of the suite's time is compiling, and many tests compile the same tiny programs
_CACHE = Path(__file__).parents[1] / ".pytest_cache" / "jax"
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(_CACHE)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

# array shapes in annotations are checked while the tests run; hypers are NumPy on the host and JAX in a program
_PARTS = (
    "agent", "buffer", "diagnostics", "fit", "layers", "model", "optimizers",
    "plan_samplers", "plan_search", "plan_updates", "planner", "propagation",
)  # fmt: skip
_CHECKED = [f"cartwheel.agents.pets.{name}" for name in _PARTS]
install_import_hook(_CHECKED, "type_checks.checked")

# the same examples everywhere, and no deadline: a shared machine is slow at times
settings.register_profile("cartwheel", derandomize=True, deadline=None)
settings.load_profile("cartwheel")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a GPU are for where there is one. Asked of JAX only if there are such tests among them."""
    of_gpus = [item for item in items if item.get_closest_marker("gpu")]
    if of_gpus and not _has_gpu():
        for item in of_gpus:
            item.add_marker(pytest.mark.skip(reason="no GPU that JAX can use"))


def _has_gpu() -> bool:
    import jax

    return jax.default_backend() == "gpu"


@pytest.fixture
def key() -> Any:
    """A JAX key; a test that needs several folds numbers into it."""
    import jax

    return jax.random.key(0)
