"""Activations: as layers, and as the `activation` argument of other layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smidgen.frontends import lowering
from smidgen.frontends.keras.site import LayerSite, layer, operation

ACTIVATIONS: dict[str, Callable[[LayerSite, str], str]] = {}


def activate(site: LayerSite, value: str, key: str = "activation") -> str:
    """Apply the activation that the layer's configuration names under `key`."""
    configured = site.get(key)
    name = name_of(site, configured)
    if name not in ACTIVATIONS:
        raise site.refuse(
            f"its activation is {name!r}", hint=f"supported are {', '.join(sorted(ACTIVATIONS))}"
        )
    return ACTIVATIONS[name](site, value)


def name_of(site: LayerSite, configured: Any) -> str:
    """The name of a configured activation, however Keras spells it."""
    if configured is None:
        return "linear"
    if isinstance(configured, str):
        return configured
    if isinstance(configured, dict):
        # Keras 3 writes a function as an object; a custom one carries its package's name.
        registered = str(configured.get("registered_name") or "")
        if configured.get("class_name") == "function" and ">" not in registered:
            return str(configured["config"])
        described = registered or configured.get("class_name")
        raise site.refuse(
            f"its activation is {described!r}, which only its own code defines",
            hint="use a built-in activation by name, or a layer of its own",
        )
    raise site.malformed(f"its activation is {configured!r}")


def _simple(*names: str, op: str) -> None:
    def apply(site: LayerSite, value: str) -> str:
        return site.add(op, [value], names[0])

    ACTIVATIONS.update(dict.fromkeys(names, apply))


ACTIVATIONS["linear"] = lambda site, value: value
_simple("relu", op="RELU")
_simple("relu6", op="RELU6")
_simple("sigmoid", op="LOGISTIC")
_simple("tanh", op="TANH")
_simple("hard_swish", "hard_silu", op="HARD_SWISH")


def _activation(*names: str) -> Callable[[Callable[[LayerSite, str], str]], None]:
    def declare(apply: Callable[[LayerSite, str], str]) -> None:
        ACTIVATIONS.update(dict.fromkeys(names, apply))

    return declare


@_activation("softmax")
def softmax(site: LayerSite, value: str) -> str:
    """Over the last axis."""
    return site.add("SOFTMAX", [value], "softmax", beta=1.0)


@_activation("swish", "silu")
def swish(site: LayerSite, value: str) -> str:
    """The product of x and sigmoid(x)."""
    gate = site.add("LOGISTIC", [value], "sigmoid")
    return site.add("MUL", [value, gate], "swish")


@_activation("hard_sigmoid")
def hard_sigmoid(site: LayerSite, value: str) -> str:
    """relu6(x + 3) / 6; before Keras 3 clip(0.2 x + 0.5, 0, 1), which is relu6(1.2 x + 3) / 6."""
    if site.conversion.keras2:
        slope = site.constant("hard_sigmoid_slope", lambda: np.array([1.2]))
        value = site.add("MUL", [value, slope], "hard_sigmoid_scaled")
    three = site.constant("hard_sigmoid_three", lambda: np.array([3.0]))
    sixth = site.constant("hard_sigmoid_sixth", lambda: np.array([1.0 / 6.0]))
    shifted = site.add("ADD", [value, three], "hard_sigmoid_shifted")
    clipped = site.add("RELU6", [shifted], "hard_sigmoid_clipped")
    return site.add("MUL", [clipped, sixth], "hard_sigmoid")


@_activation("leaky_relu")
def leaky_relu(site: LayerSite, value: str) -> str:
    """With the slope that the function has by default."""
    return site.add("LEAKY_RELU", [value], "leaky_relu", alpha=0.2)


def _lowered(*names: str, apply: Callable[..., str], **how: Any) -> None:
    def activate_so(site: LayerSite, value: str) -> str:
        return apply(site.lowering, value, **how)

    ACTIVATIONS.update(dict.fromkeys(names, activate_so))


_lowered("elu", apply=lowering.elu)
_lowered("selu", apply=lowering.selu)
_lowered("softplus", apply=lowering.softplus)
_lowered("softsign", apply=lowering.softsign)
_lowered("mish", apply=lowering.mish)
_lowered("hard_tanh", apply=lowering.hard_tanh)
_lowered("log_softmax", apply=lowering.log_softmax)
_simple("exponential", op="EXP")


@_activation("gelu")
def gelu(site: LayerSite, value: str) -> str:
    """Exact, as the function is by default."""
    return lowering.gelu(site.lowering, value)


@layer("Activation")
def activation_layer(site: LayerSite) -> str:
    """Any activation by name."""
    return activate(site, site.input)


@layer("ReLU")
def relu_layer(site: LayerSite) -> str:
    """Plain, capped at 6 or leaky; other caps and thresholds have no operator."""
    slope = site.number("negative_slope", 0.0) if site.get("negative_slope") is not None else 0.0
    cap = site.get("max_value")
    if site.get("threshold") is not None and site.number("threshold") != 0:
        raise site.refuse("its threshold is not 0", hint="use threshold=0")
    if cap is None and slope == 0:
        return site.add("RELU", [site.input])
    if cap is None:
        return site.add("LEAKY_RELU", [site.input], alpha=slope)
    if site.number("max_value") == 6 and slope == 0:
        return site.add("RELU6", [site.input])
    raise site.refuse(
        f"its max_value is {cap!r} and its negative_slope {slope}",
        hint="use max_value=6 or none, and a slope without max_value",
    )


@layer("LeakyReLU")
def leaky_relu_layer(site: LayerSite) -> str:
    """The slope is called alpha before Keras 3."""
    key = "alpha" if "alpha" in site.spec.config else "negative_slope"
    return site.add("LEAKY_RELU", [site.input], alpha=site.number(key, 0.3))


@layer("ELU")
def elu_layer(site: LayerSite) -> str:
    """The input where it is positive, alpha * (e^x - 1) elsewhere."""
    return lowering.elu(site.lowering, site.input, site.number("alpha", 1.0))


@layer("PReLU", roles=lambda spec: ("alpha",))
def prelu_layer(site: LayerSite) -> str:
    """A slope of its own for each element, or one for all positions of the shared axes."""
    shape = site.shape(site.input)[1:]
    shared = site.get("shared_axes") or ()
    slopes = tuple(1 if axis + 1 in shared else size for axis, size in enumerate(shape))
    alpha = site.constant("alpha", lambda: site.weight("alpha", slopes))
    return site.add("PRELU", [site.input, alpha])


@layer("Softmax")
def softmax_layer(site: LayerSite) -> str:
    """Over the last axis only."""
    rank = len(site.shape(site.input))
    if site.axis(rank) != rank - 1:
        raise site.refuse(f"its axis is {site.get('axis')!r}", hint="use the last axis")
    return site.add("SOFTMAX", [site.input], beta=1.0)


_FUNCTIONS = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Silu": "silu",
    "HardSilu": "hard_silu",
    "HardSigmoid": "hard_sigmoid",
    "Elu": "elu",
    "Selu": "selu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Exp": "exponential",
}


@operation(*_FUNCTIONS)
def function(site: LayerSite) -> str:
    """`keras.ops.relu(x)` and its like, with their defaults."""
    return ACTIVATIONS[_FUNCTIONS[site.spec.class_name]](site, site.input)
