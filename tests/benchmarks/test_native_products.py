"""The benchmark of a native library: our products are products, and a row's rates are operations over seconds."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.speed import products
from benchmarks.speed.timing import Job

NUM_ROWS, WIDTH = 3, 4


def test_our_products_are_those_of_all_layers() -> None:
    """As NumPy multiplies them, network by network."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(products.NUM_NETWORKS, NUM_ROWS, WIDTH))
    weight = rng.normal(size=(products.NUM_NETWORKS, WIDTH, WIDTH)) / WIDTH**0.5
    expected = hidden @ np.linalg.matrix_power(weight, products.NUM_LAYERS)
    found = products.products(NUM_ROWS, WIDTH, "float32")()
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-3, atol=1e-5)


class Recorded:
    """A peer that takes 2 s with one thread and 0.5 s with more, and remembers what it was asked."""

    asked: list[Mapping[str, Any]]

    def __init__(self, _: Path) -> None:
        Recorded.asked = []

    def seconds(self, request: Mapping[str, Any]) -> float:
        self.asked.append(request)
        return 2.0 if request["threads"] == 1 else 0.5


@pytest.mark.parametrize(("num_cores", "best_s"), [(1, 2.0), (2, 0.5)])
def test_rates_and_ratios_of_a_row(
    num_cores: int, best_s: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ours takes 1 s; the better number of threads counts, and both did the same arithmetic."""

    def seconds(jobs: dict[str, Job], repeats: int) -> dict[str, list[float]]:
        return {name: [1.0] * repeats for name in jobs}

    monkeypatch.setattr(products, "prepare_jax", lambda _: None)
    monkeypatch.setattr(products, "peers_python", lambda folder: folder)
    monkeypatch.setattr(products, "Peer", Recorded)
    monkeypatch.setattr(products, "num_cores", lambda: num_cores)
    monkeypatch.setattr(products, "in_turns", seconds)
    monkeypatch.setattr(products, "SHAPES", {"tiny": (NUM_ROWS, WIDTH)})
    monkeypatch.setattr(sys, "argv", ["products", "--repeats", "3", "--json"])
    products.main()
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["precision"] for row in rows] == ["float32", "bf16"]
    operations = 2 * 20 * 5 * NUM_ROWS * WIDTH * WIDTH  # a multiplication and an addition for each weight and row
    for row in rows:
        assert row["oneDNN times faster"] == f"{1 / best_s:.2f} ({1 / best_s:.2f} to {1 / best_s:.2f})"
        assert row["XLA, GFLOP/s"] == pytest.approx(operations / 1.0 / 1e9)
        assert row["oneDNN, GFLOP/s"] == pytest.approx(operations / best_s / 1e9)
    asked = {(*request["shape"], request["count"], request["dtype"]) for request in Recorded.asked}
    assert asked == {(5, NUM_ROWS, WIDTH, 20, "float32"), (5, NUM_ROWS, WIDTH, 20, "bfloat16")}
    assert len(Recorded.asked) == 2 * 3 * num_cores
