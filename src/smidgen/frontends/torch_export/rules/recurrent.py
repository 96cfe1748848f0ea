"""LSTM, GRU and plain recurrent layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from smidgen.frontends import lowering
from smidgen.frontends.lowering import Array, Operand
from smidgen.frontends.lowering.cells import Cell, GruCell, LstmCell, RnnCell
from smidgen.frontends.lowering.recurrent import run_layers
from smidgen.frontends.torch_export.site import Result, Site, rule


def _cells(site: Site, make: Callable[..., Cell]) -> list[list[Cell]]:
    """The cells of each layer, forwards and backwards."""
    arrays: list[Array] = []
    for each in site.tensor_list("params"):
        if isinstance(each, str):
            raise site.refuse("its weights are computed at run time")
        arrays.append(each)
    layers = site.integer("num_layers", 1)
    directions = 2 if site.flag("bidirectional") else 1
    step, left = divmod(len(arrays), layers * directions)
    if left or step not in (2, 3, 4, 5):
        raise site.malformed(
            f"it has {len(arrays)} weights for {layers} layers in {directions} directions"
        )
    cells = [make(*arrays[i : i + step]) for i in range(0, len(arrays), step)]
    return [cells[i : i + directions] for i in range(0, len(cells), directions)]


def _states(site: Site, states: Operand, places: int) -> list[Operand]:
    """States (places, n, units), one by one."""
    if not isinstance(states, str):
        return list(states)
    parts = lowering.split(site.at, states, (1,) * places, 0)
    shape = site.at.shape(states)[1:]
    return [lowering.reshape(site.at, part, shape) for part in parts]


def _run(site: Site, make: Callable[..., Cell], states: list[Operand]) -> Result:
    at, x = site.at, site.tensor("input")
    if site.flag("train") and site.number("dropout", 0) > 0:
        raise site.refuse("it is in training mode", hint="call model.eval() before exporting it")
    if at.rank(x) != 3:
        raise site.refuse(f"its input has shape {at.shape(x)}", hint="give it a batch axis")
    batch_first = site.flag("batch_first")
    if not batch_first:
        x = lowering.transpose(at, x, (1, 0, 2))
    layers = _cells(site, make)
    places = sum(map(len, layers))
    given: dict[str, Any] = {
        name: _states(site, state, places)
        for name, state in zip(("hidden", "memory"), states, strict=False)
    }
    unroll = len(states) > 1 and site.used(2)
    y, hiddens, memories = run_layers(at, layers, x, **given, unroll=unroll)
    if not batch_first:
        y = lowering.transpose(at, y, (1, 0, 2))
    results: list[Operand | None] = [y]
    for i, kind in enumerate((hiddens, memories)[: len(states)]):
        found = [state for state in kind if state is not None]
        results.append(lowering.stack(at, found, 0) if site.used(i + 1) else None)
    return results


@rule("lstm")
def lstm(site: Site) -> Result:
    """Gates in the order input, forget, cell, output; a projection comes after the biases."""

    def make(*arrays: Array) -> Cell:
        whole = len(arrays) // 2 * 2
        cell = LstmCell.from_torch(*arrays[:whole])
        return replace(cell, projection=arrays[-1]) if whole < len(arrays) else cell

    return _run(site, make, site.tensor_list("hx"))


@rule("gru")
def gru(site: Site) -> Result:
    """Gates in the order reset, update, new."""
    return _run(site, GruCell.from_torch, [site.tensor("hx")])


@rule("rnn_tanh", "rnn_relu")
def rnn(site: Site) -> Result:
    """One gate, by tanh or ReLU."""
    activation = lowering.tanh if site.call.packet == "rnn_tanh" else lowering.relu

    def make(*arrays: Array) -> Cell:
        return replace(RnnCell.from_torch(*arrays), activation=activation)

    return _run(site, make, [site.tensor("hx")])
