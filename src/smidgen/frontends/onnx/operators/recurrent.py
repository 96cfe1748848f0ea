"""LSTM, GRU and RNN, in one direction or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from smidgen.frontends import lowering as lower
from smidgen.frontends.lowering.cells import Activation, Cell, GruCell, LstmCell, RnnCell
from smidgen.frontends.lowering.recurrent import Run, run
from smidgen.frontends.onnx.site import NodeSite, Operand, operator
from smidgen.frontends.onnx.tensors import Array

_ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": lower.sigmoid,
    "tanh": lower.tanh,
    "relu": lower.relu,
    "softsign": lower.softsign,
    "softplus": lower.softplus,
    "hardsigmoid": lambda at, x: lower.hard_sigmoid(at, x, 0.2, 0.5),
}
_REVERSED = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


class _Layer:
    """What the three operators have in common."""

    def __init__(self, site: NodeSite, defaults: Sequence[str]) -> None:
        self.site = site
        direction = site.text("direction", "forward")
        if direction not in _REVERSED:
            raise site.malformed(f"its direction is {direction!r}")
        self.reversed = _REVERSED[direction]
        self.first = site.flag("layout")  # whether the batch is the first axis
        if "clip" in site.attributes:
            raise site.refuse("it clips its gates", hint="export it without clip")
        if "activation_alpha" in site.attributes or "activation_beta" in site.attributes:
            raise site.refuse("its activations have parameters", hint="use the default ones")
        self.activations = self._activations(defaults)
        x = site.x
        if len(site.shape(x)) != 3:
            raise site.malformed(f"its input has the shape {site.shape(x)}")
        self.x = x if self.first else lower.transpose(site.at, x, (1, 0, 2))
        self.w, self.r = site.floats(1, "weights"), site.floats(2, "recurrent weights")
        self.b = site.floats(3, "bias") if site.has(3) else None
        steps = site.shape(self.x)[1]
        lengths = site.optional(4, "sequence lengths")
        if lengths is not None and (lengths != steps).any():
            raise site.refuse(
                f"its sequences have the lengths {lengths.tolist()!r:.80} of {steps} steps",
                hint="export it without sequence_lens",
            )
        arrays = (self.w, self.r) if self.b is None else (self.w, self.r, self.b)
        if any(a.ndim < 2 or a.shape[0] != len(self.reversed) for a in arrays):
            raise site.malformed(f"its weights are not those of {len(self.reversed)} directions")

    def _activations(self, defaults: Sequence[str]) -> list[list[Activation]]:
        site, count = self.site, len(defaults)
        names = site.attributes.get("activations", list(defaults) * len(self.reversed))
        unknown = [n for n in names if str(n).lower() not in _ACTIVATIONS]
        if unknown or len(names) != count * len(self.reversed):
            raise site.refuse(
                f"its activations are {names!r:.80}", hint=f"use {', '.join(_ACTIVATIONS)}"
            )
        found = [_ACTIVATIONS[str(name).lower()] for name in names]
        return [found[i : i + count] for i in range(0, len(found), count)]

    def bias(self, direction: int) -> Array | None:
        """The bias of one direction."""
        return None if self.b is None else self.b[direction]

    def state(self, place: int, direction: int) -> Operand | None:
        """An initial state (n, units) of one direction."""
        site = self.site
        if not site.has(place):
            return None
        states = site.operand(place)
        axis = 1 if self.first else 0
        if isinstance(states, str):
            one = lower.slice_axis(site.at, states, axis, direction, direction + 1)
            dims = site.shape(one)
            return lower.reshape(site.at, one, (*dims[:axis], *dims[axis + 1 :]))
        return np.ascontiguousarray(states.take(direction, axis))

    def results(self, cell: Callable[[int], Cell], memory: bool = False) -> list[Operand | None]:
        """Run all directions and stack what they give, as ONNX lays it out."""
        site, at = self.site, self.site.at
        runs: list[Run] = [
            run(
                at,
                cell(direction),
                self.x,
                hidden=self.state(5, direction),
                memory=self.state(6, direction) if memory else None,
                reverse=backwards,
                unroll=memory and any(site.outputs[2:]),
            )
            for direction, backwards in enumerate(self.reversed)
        ]
        y = lower.stack(at, [r.sequence for r in runs], 2)  # (n, time, directions, units)
        y = y if self.first else lower.transpose(at, y, (1, 2, 0, 3))
        axis = 1 if self.first else 0
        hidden = lower.stack(at, [r.hidden for r in runs], axis)
        if not memory or not any(site.outputs[2:]):
            return [y, hidden, None]
        return [y, hidden, lower.stack(at, [r.memory for r in runs if r.memory], axis)]


@operator("LSTM")
def lstm(site: NodeSite) -> list[Operand | None]:
    """Long short-term memory, with peepholes if it has them."""
    layer = _Layer(site, ("Sigmoid", "Tanh", "Tanh"))
    if site.flag("input_forget"):
        raise site.refuse("its input and forget gates are one", hint="use input_forget=0")
    holes = site.floats(7, "peepholes") if site.has(7) else None

    def cell(direction: int) -> Cell:
        made = LstmCell.from_onnx(layer.w[direction], layer.r[direction], layer.bias(direction))
        gate, squash, output = layer.activations[direction]
        peepholes = None
        if holes is not None and holes.any():  # of the input, output and forget gate
            peepholes = holes[direction].reshape(3, -1)[[0, 2, 1]]
        return replace(made, gate=gate, squash=squash, output=output, peepholes=peepholes)

    return layer.results(cell, memory=True)


@operator("GRU")
def gru(site: NodeSite) -> list[Operand | None]:
    """Gated recurrent unit."""
    layer = _Layer(site, ("Sigmoid", "Tanh"))

    def cell(direction: int) -> Cell:
        arrays = (layer.w[direction], layer.r[direction], layer.bias(direction))
        made = GruCell.from_onnx(*arrays, linear_before_reset=site.flag("linear_before_reset"))
        gate, squash = layer.activations[direction]
        return replace(made, gate=gate, squash=squash)

    return layer.results(cell)[:2]


@operator("RNN")
def rnn(site: NodeSite) -> list[Operand | None]:
    """The plain recurrent layer."""
    layer = _Layer(site, ("Tanh",))

    def cell(direction: int) -> Cell:
        made = RnnCell.from_onnx(layer.w[direction], layer.r[direction], layer.bias(direction))
        return replace(made, activation=layer.activations[direction][0])

    return layer.results(cell)[:2]
