"""Measure what kernels cost, in an emulator, and write costs.toml.

Each kernel that states its `work` is compiled for the layers it names as `probes`. The least
squares of relative errors over what the emulator counts gives the cost of each unit of work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smidgen.backends.c.arena import plan_arena
from smidgen.backends.c.compile import features
from smidgen.backends.c.costs import CODE, RUNTIME
from smidgen.backends.c.emit import emit
from smidgen.backends.c.firmware import Firmware
from smidgen.backends.c.select_kernels import Step, select_kernel
from smidgen.interpreter import random_inputs
from smidgen.ir import Graph
from smidgen.ops import Kernel, Unsupported, all_ops
from smidgen.targets.board import Board, load_board

Array = np.ndarray[Any, Any]

BOARDS = ("nucleo-l4r5zi", "nucleo-h743zi2")  # one for each core that is measured


@dataclass(frozen=True)
class Fit:
    """What was measured of a kernel on a core.

    Args:
        core: the core.
        symbol: the kernel.
        costs: estimated cycles of each unit of work, and bytes of code.
        worst: largest relative error of the estimate over the probes.
        probes: how many there were.
    """

    core: str
    symbol: str
    costs: Mapping[str, float]
    worst: float
    probes: int


def calibrate(tell: Callable[[str], None] = lambda line: None) -> list[Fit]:
    """Measure every kernel that states its work, on every core of `BOARDS`."""
    fits = []
    for board in map(load_board, BOARDS):
        bare = _runtime_code(board)
        core = board.core.split("+")[0]
        fits.append(Fit(core, RUNTIME, {CODE: bare}, 0.0, 0))
        for kernel in measurable():
            fit = _fit(kernel, board, bare)
            tell(f"{core} {kernel.symbol}: {fit.probes} layers, within {fit.worst:.1%}")
            fits.append(fit)
    return fits


def to_toml(fits: list[Fit]) -> str:
    """The text of costs.toml."""
    lines = ["# Estimated cycles of each unit of a kernel's work, and bytes of its code."]
    lines += ["# Written by `smidgen calibrate`."]
    for fit in fits:
        lines += ["", f"[{fit.core}.{fit.symbol}]"]
        lines += [f"# {fit.probes} layers, within {fit.worst:.1%}"] if fit.probes else []
        lines += [f"{name} = {value:.5g}" for name, value in fit.costs.items()]
    return "\n".join(lines) + "\n"


def measurable() -> Iterator[Kernel]:
    """Every kernel that can be measured."""
    for op in all_ops().values():
        if not isinstance(op.kernels, Unsupported):
            yield from (k for k in op.kernels if k.work is not None and k.probes is not None)


def _fit(kernel: Kernel, board: Board, bare: int) -> Fit:
    assert kernel.work is not None and kernel.probes is not None
    work: list[Mapping[str, float]] = []
    cycles: list[float] = []
    code = 0
    for sample in kernel.probes():
        graph = sample.graph()
        step = replace(_step(graph, board), kernel=kernel)
        refusal = kernel.guard(step.site)
        assert refusal is None, f"{kernel.symbol} refuses its own probe: {refusal}"
        firmware = _firmware(graph, [step], board)
        (run,) = firmware.profile(random_inputs(graph, 1))
        assert run.cycles is not None
        work.append(kernel.work(step.site))
        cycles.append(run.cycles)
        code = max(code, firmware.code_bytes - bare)
    names = list(dict.fromkeys(name for w in work for name in w))
    costs, worst = fit_costs(
        np.array([[w.get(name, 0) for name in names] for w in work], float), np.array(cycles, float)
    )
    table = {CODE: float(code), **dict(zip(names, costs.tolist(), strict=True))}
    return Fit(board.core.split("+")[0], kernel.symbol, table, worst, len(work))


def fit_costs(work: Array, cycles: Array) -> tuple[Array, float]:
    """Costs, none negative, that explain the cycles with the least relative error.

    Args:
        work: how often each probe does each thing, (probes, things).
        cycles: of each probe, (probes,).

    Returns:
        Cycles of one of each thing, (things,), and the largest relative error.

    Example:
        >>> fit_costs(np.array([[1, 10], [1, 30], [1, 50]]), np.array([70., 110., 150.]))
        (array([50.,  2.]), 0.0)
    """
    relative = work / cycles[:, None]
    costs = np.zeros(work.shape[1])
    kept = np.arange(work.shape[1])
    while len(kept):
        found, *_ = np.linalg.lstsq(relative[:, kept], np.ones(len(cycles)), rcond=None)
        if (found >= 0).all():
            costs[kept] = found
            break
        kept = kept[found > found.min()]  # what would pay for itself costs nothing
    error = np.abs(relative @ costs - 1).max()
    return costs.round(9), float(error.round(9))


def _step(graph: Graph, board: Board) -> Step:
    return select_kernel(graph, graph.nodes[0], frozenset(features(board)), optimize="speed")


def _firmware(graph: Graph, steps: list[Step], board: Board) -> Firmware:
    arena = plan_arena(graph, steps)
    return Firmware(graph, board, emit(graph, arena, "probe"), arena, optimize="speed")


def _runtime_code(board: Board) -> int:
    """Bytes of code of a program that calls one kernel of a few bytes."""
    from smidgen.ir import GraphBuilder, TensorType
    from smidgen.ops import get_op

    builder = GraphBuilder("bare")
    x = builder.input("x", TensorType((1, 4), "float32"))
    graph = builder.build([builder.add(get_op("RELU")(), [x])])
    return _firmware(graph, [_step(graph, board)], board).code_bytes
