"""Scalar reverse-mode autodiff that shows every step of the chain rule."""

from tinygrad_sq.losses import binary_cross_entropy as binary_cross_entropy
from tinygrad_sq.losses import cost as cost
from tinygrad_sq.losses import cross_entropy as cross_entropy
from tinygrad_sq.losses import half_squared_error as half_squared_error
from tinygrad_sq.losses import hinge as hinge
from tinygrad_sq.nn import MLP as MLP
from tinygrad_sq.nn import Layer as Layer
from tinygrad_sq.nn import Module as Module
from tinygrad_sq.nn import Neuron as Neuron
from tinygrad_sq.nn import Parameter as Parameter
from tinygrad_sq.optim import SGD as SGD
from tinygrad_sq.optim import Adam as Adam
from tinygrad_sq.optim import AdamW as AdamW
from tinygrad_sq.saving import load as load
from tinygrad_sq.saving import save as save
from tinygrad_sq.table import *  # noqa: F403  (every row is a public function)
from tinygrad_sq.train import History as History
from tinygrad_sq.train import fit as fit
from tinygrad_sq.value import Value as Value
from tinygrad_sq.value import detect_anomaly as detect_anomaly
from tinygrad_sq.value import no_grad as no_grad
from tinygrad_sq.value import scope as scope

__version__ = "0.1.0"
