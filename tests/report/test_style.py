"""The palette: colours that mean something stay apart for readers who do not see all of them."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from cartwheel.report.style import BLUE, FAINT, GREEN, ORANGE, VERMILLION

# what is left of linear RGB without one kind of cones: Machado, Oliveira & Fernandes 2009, severity 1.0
SEEN_AS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = TO_XYZ.sum(axis=1)
PLAINLY_DIFFERENT = 15.0
"""In CIELAB; 2.3 is what is just noticed side by side."""


def lab(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB of linear RGB."""
    ratio = TO_XYZ @ np.clip(linear, 0.0, 1.0) / WHITE
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", SEEN_AS)
def test_colour_blind_readers_tell_the_lines_apart(kind: str) -> None:
    """Everybody (grey), the incumbent (blue), the ceiling (green), what went wrong (vermillion), a control (orange)."""
    rgb = {name: np.array(to_rgb(name)) for name in (FAINT, BLUE, GREEN, VERMILLION, ORANGE)}
    linear = {name: np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) for name, c in rgb.items()}
    seen = {name: lab(np.array(SEEN_AS[kind]) @ c) for name, c in linear.items()}
    for one, two in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[two]) > PLAINLY_DIFFERENT, (one, two)
