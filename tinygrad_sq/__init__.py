"""Scalar reverse-mode autodiff that shows every step of the chain rule."""

from typing import TYPE_CHECKING

from tinygrad_sq.calculus import grad as grad
from tinygrad_sq.calculus import gradient as gradient
from tinygrad_sq.calculus import hessian as hessian
from tinygrad_sq.calculus import hvp as hvp
from tinygrad_sq.calculus import jacobian as jacobian
from tinygrad_sq.calculus import jvp as jvp
from tinygrad_sq.calculus import value_and_grad as value_and_grad
from tinygrad_sq.calculus import vjp as vjp
from tinygrad_sq.compiler import compile as compile
from tinygrad_sq.context import detect_anomaly as detect_anomaly
from tinygrad_sq.context import no_grad as no_grad
from tinygrad_sq.context import scope as scope
from tinygrad_sq.custom import custom_op as custom_op
from tinygrad_sq.gradcheck import gradcheck as gradcheck
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
from tinygrad_sq.replay import replay as replay
from tinygrad_sq.saving import load as load
from tinygrad_sq.saving import save as save
from tinygrad_sq.study.formula import to_latex as to_latex
from tinygrad_sq.table import *  # noqa: F403  (every row is a public function)
from tinygrad_sq.train import History as History
from tinygrad_sq.train import fit as fit
from tinygrad_sq.value import Value as Value

if TYPE_CHECKING:
    from tinygrad_sq.study.animate import animate as animate
    from tinygrad_sq.study.delta_view import deltas_table as deltas_table
    from tinygrad_sq.study.draw import draw_dot as draw_dot
    from tinygrad_sq.study.draw import to_svg as to_svg
    from tinygrad_sq.study.explain import explain as explain
    from tinygrad_sq.study.explore import explore as explore
    from tinygrad_sq.study.paths import paths as paths
else:
    # What is loaded when it is asked for: the engine needs none of it, and pictures need graphviz.
    _STUDY = {
        "animate": "animate",
        "deltas_table": "delta_view",
        "draw_dot": "draw",
        "explain": "explain",
        "explore": "explore",
        "paths": "paths",
        "to_svg": "draw",
    }

    def __getattr__(name):
        if name in _STUDY:
            from importlib import import_module

            return getattr(import_module(f"tinygrad_sq.study.{_STUDY[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted([*globals(), *_STUDY])

    __all__ = [name for name in __dir__() if name[0] != "_" and name != "TYPE_CHECKING"]


__version__ = "0.1.0"
