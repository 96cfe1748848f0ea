"""LSTM, GRU and plain recurrent layers."""

from __future__ import annotations

from smidgen.frontends.lowering import Array, Operand
from smidgen.frontends.lowering import recurrent as cells
from smidgen.frontends.lowering.movement import concatenate, stack, transpose
from smidgen.frontends.torch_export.site import Result, Site, rule


def _weights(site: Site, has_biases: bool) -> list[cells.Weights]:
    """Weights of each layer and direction, in PyTorch's order."""
    arrays: list[Array] = []
    for each in site.tensor_list("params"):
        if isinstance(each, str):
            raise site.refuse("its weights are computed at run time")
        arrays.append(each)
    step = 4 if has_biases else 2
    if not arrays or len(arrays) % step:
        raise site.refuse(
            f"it has {len(arrays)} weights, not a multiple of {step}", hint="use proj_size=0"
        )
    return [
        cells.Weights(
            *arrays[i : i + 2], *(arrays[i + 2 : i + step] if has_biases else (None,) * 2)
        )
        for i in range(0, len(arrays), step)
    ]


def _run(site: Site, cell: cells.Cell, states: list[Operand]) -> tuple[str, list[list[str]]]:
    """All layers and directions: the outputs, and the last states of each kind."""
    at, x = site.at, site.tensor("input")
    if site.flag("train") and site.number("dropout", 0) > 0:
        raise site.refuse("it is in training mode", hint="call model.eval() before exporting it")
    if at.rank(x) != 3:
        raise site.refuse(f"its input has shape {at.shape(x)}", hint="give (batch, time, features)")
    if not site.flag("batch_first"):
        x = transpose(at, x, (1, 0, 2))
    directions = 2 if site.flag("bidirectional") else 1
    weights = _weights(site, site.flag("has_biases", True))
    layers = site.integer("num_layers", 1)
    if len(weights) != layers * directions:
        raise site.refuse(f"{len(weights)} sets of weights for {layers} layers")
    last: list[list[str]] = [[] for _ in states]
    for layer in range(layers):
        outputs = []
        for direction in range(directions):
            place = layer * directions + direction
            initial = [cells.initial_state(at, state, place) for state in states]
            y, final = cells.unroll(at, cell, x, weights[place], initial, reverse=direction == 1)
            outputs.append(y)
            for kind, state in zip(last, final, strict=True):
                kind.append(state)
        x = outputs[0] if directions == 1 else concatenate(at, outputs, 2)
    if not site.flag("batch_first"):
        x = transpose(at, x, (1, 0, 2))
    return str(x), last


def _results(site: Site, cell: cells.Cell, states: list[Operand]) -> Result:
    y, last = _run(site, cell, states)
    results: list[Operand | None] = [y]
    for i, kind in enumerate(last):
        results.append(stack(site.at, kind, 0) if site.used(i + 1) else None)
    return results


@rule("lstm")
def lstm(site: Site) -> Result:
    """Gates in the order input, forget, cell, output."""
    states = site.tensor_list("hx")
    return _results(site, cells.lstm_cell, states)


@rule("gru")
def gru(site: Site) -> Result:
    """Gates in the order reset, update, new."""
    return _results(site, cells.gru_cell, [site.tensor("hx")])


@rule("rnn_tanh", "rnn_relu")
def rnn(site: Site) -> Result:
    """One gate, by tanh or ReLU."""
    op = "TANH" if site.call.packet == "rnn_tanh" else "RELU"
    return _results(site, cells.plain_cell(op), [site.tensor("hx")])
