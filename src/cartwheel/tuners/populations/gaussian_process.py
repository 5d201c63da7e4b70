"""A Gaussian process over (time, point of the unit cube) that forgets, and the point of its highest upper bound.

The model of PB2 (Parker-Holder et al. 2020, after Bogunovic et al. 2016): with omega = -log(1 - epsilon) / 2,

    k((t, u), (t', u')) = variance exp(-|u - u'|^2 / (2 length^2)) (1 - epsilon)^(|t - t'| / 2)

and noise on the diagonal, so what was seen long ago says little about now. Its four parameters maximise the likelihood
of the data, within bounds that suit targets of standard deviation 1 and a unit cube. The lower bound of the noise also
keeps the covariance far from singular, whatever points coincide; so its inverse is safe to use.

The inverse and the optimiser TNC stand where one would expect triangular solves and L-BFGS-B: those wake the threads of
BLAS for matrices this small, and while all cores are busy with agents that costs a hundred times the work itself.

    n data   m points   d coordinates
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]

# variance, length, omega, noise
LOWER = np.array([0.05, 0.05, 0.0, 1e-4])
UPPER = np.array([10.0, 3.0, -0.5 * np.log(0.5), 1.0])
"""An epsilon of 1/2 at most, as in the authors' code."""
BEGIN = np.array([1.0, 0.5, -0.5 * np.log(0.9), 0.1])
NUM_FIT_STARTS = 3
NUM_CANDIDATES, NUM_CLIMBS = 256, 4
MIN_VARIANCE = 1e-12
"""Where a posterior variance is rounded to: at a point that is known exactly, the root has no gradient."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """``omega`` is the rate of forgetting, ``noise`` the variance of a single observation."""

    variance: float
    length: float
    omega: float
    noise: float

    def __call__(self, times: Array, units: Array, other_times: Array, other_units: Array) -> Array:
        """Covariances [n, m] of the noiseless function at [n], [n, d] and [m], [m, d]."""
        squared = np.square(units[:, None] - other_units[None]).sum(axis=-1)
        elapsed = np.abs(times[:, None] - other_times[None])
        k: Array = self.variance * np.exp(-squared / (2.0 * self.length**2) - self.omega * elapsed)
        return k


class Posterior:
    """The process given ``targets`` [n] at ``times`` [n] and ``units`` [n, d]."""

    def __init__(self, kernel: Kernel, times: Array, units: Array, targets: Array) -> None:
        self.kernel, self._times, self._units = kernel, times, units
        covariance = kernel(times, units, times, units) + kernel.noise * np.eye(len(times))
        self._precision = np.linalg.inv(covariance)
        self._weights = self._precision @ targets

    def mean(self, time: float, units: Array) -> tuple[Array, Array]:
        """Means [m] at points [m, d], and their gradients [m, d]."""
        k, gradient = self._covariances(time, units)
        return k @ self._weights, np.einsum("mnd,n->md", gradient, self._weights)

    def std(self, time: float, units: Array) -> tuple[Array, Array]:
        """Standard deviations [m] of the noiseless function at points [m, d], and their gradients [m, d]."""
        k, gradient = self._covariances(time, units)
        solved = k @ self._precision  # [m, n]
        std = np.sqrt(np.maximum(self.kernel.variance - np.einsum("mn,mn->m", k, solved), MIN_VARIANCE))
        return std, -np.einsum("mnd,mn->md", gradient, solved) / std[:, None]

    def _covariances(self, time: float, units: Array) -> tuple[Array, Array]:
        """[m, n] with the data, and their gradients [m, n, d] in the points."""
        k = self.kernel(np.full(len(units), time), units, self._times, self._units)
        return k, k[..., None] * (self._units[None] - units[:, None]) / self.kernel.length**2


def fit(times: Array, units: Array, targets: Array, rng: np.random.Generator) -> Kernel:
    """The kernel of the highest likelihood, from one fixed start and further random ones."""
    starts = [BEGIN, *rng.uniform(LOWER, UPPER, (NUM_FIT_STARTS - 1, len(LOWER)))]
    bounds = list(zip(LOWER, UPPER, strict=True))
    found = [
        minimize(negative_log_likelihood, start, (times, units, targets), jac=True, method="TNC", bounds=bounds)
        for start in starts
    ]
    best = min(found, key=lambda result: float(result.fun))
    return Kernel(*np.clip(best.x, LOWER, UPPER).tolist())


def negative_log_likelihood(parameters: Array, times: Array, units: Array, targets: Array) -> tuple[float, Array]:
    """-log p(targets), less its constant n/2 log(2 pi), and its gradient [4] in the kernel's parameters."""
    kernel = Kernel(*parameters.tolist())
    signal = kernel(times, units, times, units)
    covariance = signal + kernel.noise * np.eye(len(times))
    precision = np.linalg.inv(covariance)
    weights = precision @ targets
    value = 0.5 * targets @ weights + np.log(np.diag(np.linalg.cholesky(covariance))).sum()
    squared = np.square(units[:, None] - units[None]).sum(axis=-1)
    elapsed = np.abs(times[:, None] - times[None])
    changes = [
        signal / kernel.variance,
        signal * squared / kernel.length**3,
        -signal * elapsed,
        np.eye(len(times)),
    ]
    outer = precision - np.outer(weights, weights)
    return float(value), np.array([0.5 * np.sum(outer * change) for change in changes])


@dataclass(frozen=True, slots=True)
class UpperBound:
    """mean + ``width`` std at ``time``: the mean from ``known``, the spread from ``expected``, which also holds pending
    points. What will be tried anyway needs no second trial, and its outcome does not matter to the spread (Desautels et
    al. 2014)."""

    known: Posterior
    expected: Posterior
    width: float
    time: float

    def __call__(self, units: Array) -> tuple[Array, Array]:
        """Values [m] and gradients [m, d] at points [m, d]."""
        mean, mean_gradient = self.known.mean(self.time, units)
        std, std_gradient = self.expected.std(self.time, units)
        return mean + self.width * std, mean_gradient + self.width * std_gradient

    def maximise(self, num_coordinates: int, rng: np.random.Generator) -> Array:
        """The best point [d] found: of random candidates the best few are climbed from."""
        candidates = rng.random((NUM_CANDIDATES, num_coordinates))
        order = np.argsort(-self(candidates)[0], kind="stable")
        climbed = [self._climb(candidates[i]) for i in order[:NUM_CLIMBS]]
        return climbed[int(np.argmax(self(np.array(climbed))[0]))]

    def _climb(self, start: Array) -> Array:
        def falling(u: Array) -> tuple[float, Array]:
            value, gradient = self(u[None])
            return -float(value[0]), -gradient[0]

        found = minimize(falling, start, jac=True, method="TNC", bounds=[(0.0, 1.0)] * len(start))
        return np.clip(found.x, 0.0, 1.0)
