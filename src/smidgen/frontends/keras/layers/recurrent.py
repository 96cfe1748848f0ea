"""Recurrent layers, and the layers that hold another layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from smidgen.frontends import lowering
from smidgen.frontends.keras.layers.activation import name_of
from smidgen.frontends.keras.site import LAYERS, Array, LayerSite, layer
from smidgen.frontends.keras.spec import LayerSpec, inner_layer
from smidgen.frontends.lowering import Cell, GruCell, LstmCell, RnnCell
from smidgen.frontends.lowering import recurrent as steps

GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
# Activations that a cell can have, by their Keras names.
FUNCTIONS: dict[str, Callable[..., str]] = {
    "tanh": lowering.tanh,
    "sigmoid": lowering.sigmoid,
    "relu": lowering.relu,
    "hard_sigmoid": lowering.hard_sigmoid,
    "softsign": lowering.softsign,
    "elu": lowering.elu,
    "selu": lowering.selu,
    "softplus": lowering.softplus,
    "silu": lowering.silu,
    "swish": lowering.silu,
}


def _roles(spec: LayerSpec) -> tuple[str, ...]:
    kernels = ("cell/kernel", "cell/recurrent_kernel")
    return kernels if spec.config.get("use_bias") is False else (*kernels, "cell/bias")


def _function(site: LayerSite, key: str, default: str) -> Callable[..., str]:
    name = name_of(site, site.get(key, default))
    if name == "hard_sigmoid" and site.conversion.keras2:
        return lambda at, x: lowering.hard_sigmoid(at, x, slope=0.2)
    if name == "linear":
        return lambda at, x: at.value(x)
    if name not in FUNCTIONS:
        raise site.refuse(f"its {key} is {name!r}", hint=f"supported are {', '.join(FUNCTIONS)}")
    return FUNCTIONS[name]


def _cell(site: LayerSite, inputs: int) -> Cell:
    """The layer's cell for so many inputs."""
    kind, units = site.spec.class_name, site.integer("units")
    width = GATES[kind] * units
    kernel = site.weight("cell/kernel", (inputs, width))
    recurrent = site.weight("cell/recurrent_kernel", (units, width))
    squash = _function(site, "activation", "tanh")
    if kind == "SimpleRNN":
        bias = _bias(site, (width,))
        return replace(RnnCell.from_keras(kernel, recurrent, bias), activation=squash)
    gate = _function(site, "recurrent_activation", "sigmoid")
    if kind == "LSTM":
        lstm = LstmCell.from_keras(kernel, recurrent, _bias(site, (width,)))
        return replace(lstm, gate=gate, squash=squash, output=squash)
    after = site.flag("reset_after", not site.conversion.keras2)
    bias = _bias(site, (2, width) if after else (width,))
    gru = GruCell.from_keras(kernel, recurrent, bias, reset_after=after)
    return replace(gru, gate=gate, squash=squash)


def _bias(site: LayerSite, shape: tuple[int, ...]) -> Array | None:
    return site.weight("cell/bias", shape) if "cell/bias" in site.spec.weights else None


def _run(site: LayerSite, *, reverse: bool) -> tuple[str, str]:
    """The sequence of hidden states, in the order of the input, and the last one computed."""
    if site.get("return_state"):
        raise site.refuse("it returns its state", hint="use return_state=False")
    x, *first = site.inputs
    if len(site.shape(x)) != 3:
        raise site.malformed(f"its input has shape {site.shape(x)}, not (batch, time, features)")
    if len(first) < len(site.args) - 1 and any(a is not None for a in site.args[1:]):
        raise site.refuse("its first state is a number or array", hint="give it as an input")
    hidden, memory, *_ = (*first, None, None)
    done = steps.run(
        site.lowering,
        _cell(site, site.shape(x)[2]),
        x,
        reverse=reverse,
        stateful=site.flag("stateful", False),
        hidden=hidden,
        memory=memory,
    )
    return done.sequence, done.hidden


@layer("LSTM", "GRU", "SimpleRNN", roles=_roles)
def recurrent_layer(site: LayerSite) -> str:
    """Forwards, or backwards; the whole sequence or the last step."""
    backwards = site.flag("go_backwards", False)
    sequence, last = _run(site, reverse=backwards)
    if not site.flag("return_sequences", False):
        return last
    return steps.reversed_time(site.lowering, sequence) if backwards else sequence


# -- layers that hold another ---------------------------------------------------------------------


def _inner(spec: LayerSpec, key: str, prefix: str) -> LayerSpec | None:
    """The layer in a layer's configuration with its part of the weights; None if there is none."""
    found = inner_layer(spec, key)
    if found is None:
        return None
    found.weights = {
        role.removeprefix(prefix): array
        for role, array in spec.weights.items()
        if role.startswith(prefix)
    }
    return found


def _inner_site(site: LayerSite, inner: LayerSpec, args: list[Any], part: str) -> LayerSite:
    return LayerSite(site.conversion, inner, args, f"{site.path}/{part}", f"{site.name}/{part}")


def _bidirectional_roles(spec: LayerSpec) -> tuple[str, ...]:
    inner = inner_layer(spec, "layer")
    if inner is None or inner.class_name not in GATES:
        return ()
    parts = ("forward_layer", "backward_layer")
    return tuple(f"{part}/{role}" for part in parts for role in _roles(inner))


@layer("Bidirectional", roles=_bidirectional_roles)
def bidirectional(site: LayerSite) -> str:
    """A recurrent layer in both directions."""
    inner = inner_layer(site.spec, "layer")
    if inner is None or inner.class_name not in GATES:
        kind = None if inner is None else inner.class_name
        raise site.refuse(f"it holds {kind!r}", hint=f"use it on {', '.join(GATES)}")
    if len(site.args) != 1:
        raise site.refuse("it is given first states", hint="leave them out")
    results = []
    for part, reverse in (("forward", False), ("backward", True)):
        key = "backward_layer" if reverse and site.get("backward_layer") else "layer"
        spec = _inner(site.spec, key, f"{part}_layer/")
        assert spec is not None
        one = _inner_site(site, spec, list(site.args), part)
        sequence, last = _run(one, reverse=reverse)
        results.append(sequence if one.flag("return_sequences", False) else last)
    mode = site.get("merge_mode", "concat")
    at = site.lowering
    if mode == "concat":
        return lowering.concatenate(at, results, len(site.shape(results[0])) - 1)
    if mode in ("sum", "ave"):
        total = at.add("ADD", list(results))
        return total if mode == "sum" else at.add("MUL", [total, at.scalar(0.5)])
    if mode == "mul":
        return at.add("MUL", list(results))
    raise site.refuse(f"its merge_mode is {mode!r}", hint="use concat, sum, ave or mul")


def _distributed_roles(spec: LayerSpec) -> tuple[str, ...]:
    inner = inner_layer(spec, "layer")
    rule = None if inner is None else LAYERS.get(inner.class_name)
    if inner is None or rule is None:
        return ()
    return tuple(f"layer/{role}" for role in rule.roles(inner))


@layer("TimeDistributed", roles=_distributed_roles)
def time_distributed(site: LayerSite) -> str:
    """A layer applied to each step: the steps are its batch."""
    inner = _inner(site.spec, "layer", "layer/")
    rule = None if inner is None else LAYERS.get(inner.class_name)
    if inner is None or rule is None:
        raise site.refuse("it holds a layer that Smidgen does not have")
    batch, time, *rest = site.shape(site.input)
    each = site.reshape(site.input, (batch * time, *rest), "steps")
    result = rule.build(_inner_site(site, inner, [each], "layer"))
    return site.reshape(result, (batch, time, *site.shape(result)[1:]), "sequence")
