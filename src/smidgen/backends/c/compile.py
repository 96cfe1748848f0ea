"""Compile a graph for a board: choose kernels, plan memory, write C."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smidgen.backends.c.choose_streams import FREE, choose_streams
from smidgen.backends.c.emit import c_identifier, emit_library
from smidgen.backends.c.firmware import OPTIMIZE, Firmware
from smidgen.backends.c.order_steps import order_steps
from smidgen.backends.c.project import write_project
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.backends.c.states import lay_out
from smidgen.errors import SmidgenError
from smidgen.ir import Graph

if TYPE_CHECKING:
    from smidgen.targets.board import Board

STACK_BYTES = 512  # that a plan for so much RAM leaves; how many it takes is measured later

DEFAULT_BOARD = "nucleo-l4r5zi"


def compile(
    graph: Graph | Sequence[Graph],
    board: str | Board = DEFAULT_BOARD,
    out: str | Path | None = None,
    *,
    optimize: str = "balanced",
    flash: int | str | None = None,
    ram: int | str | None = None,
    name: str | None = None,
    toolchain: str | None = None,
) -> Firmware:
    """Compile a graph into a dependency-free C library for a board.

    Args:
        graph: any graph whose every operator has a C kernel, int8 or float. Or several, functions
            of one model with different signatures, which become one library: they share
            constants, states of the same name, and the arena.
        board: a board's name (see `smidgen boards`), a path to a `.toml`, or a `Board`.
        out: the folder to write the sources into; None writes none.
        optimize: "speed", "balanced" or "flash". With "speed" larger kernels are chosen where they
            save most cycles for their bytes, as long as code and constants, by estimate, fit.
        flash: bytes they may take together, or text such as "240KB"; the board's flash by default.
        ram: bytes that arena, states and stack may take, or text such as "24KB". Where whole layers
            do not fit, chains of layers run a few rows at a time, as many as it takes, at the price
            of some cycles and some flash. By default the board's RAM; and with "balanced" as little
            as can be had for up to 3 % more cycles, by estimate.
        name: prefix of the C functions; made from the graph's name otherwise.
        toolchain: "gcc" or "zig" for measuring; by default what this machine has.

    Returns:
        The firmware: sizes measured on the linked ELF, and `run`.

    Raises:
        UnsupportedModelError: if an operator has no C kernel.
        BoardError: if the board is unknown.

    Example:
        >>> fw = compile(int8, board="nucleo-l4r5zi", out="firmware/")
        >>> fw.flash_bytes < 64 * 1024, fw.ram_bytes < 16 * 1024
        (True, True)
    """
    from smidgen import __version__
    from smidgen.targets.board import Board, load_board, parse_bytes
    from smidgen.targets.toolchain import find_toolchain

    if optimize not in OPTIMIZE:
        raise SmidgenError(f"optimize={optimize!r}", hint=f"use one of {', '.join(OPTIMIZE)}")
    part = board if isinstance(board, Board) else load_board(board)
    graphs = [graph] if isinstance(graph, Graph) else list(graph)
    graphs = [g.renamed(name or graphs[0].name) for g in graphs]
    _check_signatures(graphs)
    budget = parse_bytes(flash) if isinstance(flash, str) else flash
    asked = parse_bytes(ram) if isinstance(ram, str) else ram
    offsets, state_bytes = lay_out(graphs)
    free = FREE if optimize == "balanced" and asked is None else 0.0
    most = (part.ram_bytes if asked is None else asked) - STACK_BYTES - state_bytes
    functions = []
    for prepared in graphs:
        steps = select_kernels(
            prepared,
            features=features(part),
            optimize=optimize,
            flash=(part.flash_bytes if budget is None else budget) // len(graphs),
            core=part.core,
        )
        steps = order_steps(prepared, steps)
        arena = choose_streams(prepared, steps, free=free)
        if arena.bytes > most:
            arena = choose_streams(prepared, steps, ram=most)
        functions.append((prepared, arena.laid_out(prepared, offsets, state_bytes)))
    source = emit_library(graphs[0].name, functions, __version__, optimize)
    folder = write_project(source, out) if out is not None else None
    found = find_toolchain(toolchain, part.core) if toolchain else None
    return Firmware(
        graphs[0],
        part,
        source,
        functions[0][1],
        functions=functions,
        optimize=optimize,
        toolchain=found,
        folder=folder,
        flash=budget,
        ram=asked,
    )


def _check_signatures(graphs: Sequence[Graph]) -> None:
    """Raise SmidgenError unless several functions can be told apart by name."""
    if not graphs:
        raise SmidgenError("nothing to compile", hint="give a graph, or several")
    names = [c_identifier(graph.signature) for graph in graphs]
    if len(graphs) > 1 and (len(set(names)) < len(names) or not all(g.signature for g in graphs)):
        keys = ", ".join(repr(graph.signature) for graph in graphs)
        raise SmidgenError(
            f"functions called {keys} cannot be told apart",
            hint="give each a key of its own: dataclasses.replace(graph, signature=...)",
        )


def features(board: Board) -> list[str]:
    """What kernels may use on a board, as `Site.features` names it."""
    core = board.core_info
    return [name for name, has in (("dsp", core.dsp), ("mve", core.mve)) if has]
