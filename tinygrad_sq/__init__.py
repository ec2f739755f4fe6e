"""Scalar reverse-mode autodiff that shows every step of the chain rule."""

from tinygrad_sq.table import *  # noqa: F403  (every row is a public function)
from tinygrad_sq.value import Value as Value
from tinygrad_sq.value import detect_anomaly as detect_anomaly
from tinygrad_sq.value import no_grad as no_grad
from tinygrad_sq.value import scope as scope

__version__ = "0.1.0"
