"""From a model to C, and what the C does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smidgen.cli._shared import (
    DEFAULT_BOARD,
    BoardName,
    Fixed,
    Inputs,
    Json,
    Model,
    Optimize,
    Shapes,
    Stream,
    exit_if,
    load_model,
    show,
    teller,
)


def compile(
    model: Model,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path(
        "firmware"
    ),
    board: BoardName = DEFAULT_BOARD,
    optimize: Optimize = "balanced",
    flash: Annotated[str | None, typer.Option(help="Flash to fit into, such as 240KB.")] = None,
    ram: Annotated[
        str | None,
        typer.Option(help="RAM to fit into, such as 24KB; layers run by rows if need be."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Prefix of the C functions.")] = None,
    exact_shrink: Annotated[
        bool, typer.Option("--shrink/--no-shrink", help="Fold dead channels first (exact).")
    ] = True,
    signature: Annotated[
        list[str] | None,
        typer.Option(help="A function of a .tflite file, by its key; several make one library."),
    ] = None,
    shapes: Shapes = None,
    fixed: Fixed = None,
    as_json: Json = False,
) -> None:
    """Write a dependency-free C library, link it for a board and measure it."""
    from smidgen import compile as compile_graph
    from smidgen import tables
    from smidgen.transforms.rewrites import shrink as shrink_graph

    keys: list[str | None] = [*signature] if signature else [None]
    graphs = [load_model(model, shapes, fixed, key) for key in keys]
    if exact_shrink:
        graphs = [shrink_graph(g)[0] if g.is_quantized else g for g in graphs]
    firmware = compile_graph(graphs, board, out, optimize=optimize, flash=flash, ram=ram, name=name)
    spare = firmware.fits()
    facts = {
        "out": str(out),
        "board": firmware.board.name,
        "flash_bytes": firmware.flash_bytes,
        "code_bytes": firmware.code_bytes,
        "constant_bytes": firmware.constant_bytes,
        "ram_bytes": firmware.ram_bytes,
        "arena_bytes": firmware.arena_bytes,
        "state_bytes": firmware.state_bytes,
        "stack_bytes": firmware.stack_bytes,
        "streams": firmware.streams,
        "spare": spare,
        "toolchain": firmware.toolchain.version,
    }
    show(as_json, facts, tables.compile(facts))
    exit_if(any(value < 0 for value in spare.values()))


def run(
    model: Model,
    inputs: Inputs = None,
    on: Annotated[str, typer.Option(help="host, emulator or qemu.")] = "emulator",
    board: BoardName = DEFAULT_BOARD,
    optimize: Optimize = "balanced",
    stream: Stream = False,
    profile: Annotated[bool, typer.Option(help="Also print what each layer costs.")] = False,
    shapes: Shapes = None,
    fixed: Fixed = None,
    as_json: Json = False,
) -> None:
    """Run a model as compiled C, on this machine or on an emulated chip."""
    from smidgen import compile as compile_graph
    from smidgen import tables

    graph = load_model(model, shapes, fixed)
    arrays = tables.read_inputs(graph, inputs)
    firmware = compile_graph(graph, board, optimize=optimize)
    result = firmware.run(arrays, on, stream=stream, profile=profile)
    facts = {
        "on": result.on,
        "outputs": [o.tolist() for o in result.outputs],
        "instructions": result.instructions,
        "cycles_estimated": result.cycles,
        "stack_bytes": result.stack_bytes,
        "layers": [
            {
                "layer": s.layer,
                "instructions": s.instructions,
                "cycles_estimated": s.cycles,
                "macs": s.macs,
                "cycles_per_mac_estimated": s.cycles_per_mac,
            }
            for s in result.steps
        ],
        "cycles_per_mac_limit": firmware.board.core_info.cycles_per_mac,
    }
    show(as_json, facts, tables.run(facts))


def verify(
    model: Model,
    inputs: Inputs = None,
    samples: Annotated[int, typer.Option(help="How many random inputs otherwise.", min=1)] = 8,
    board: BoardName = DEFAULT_BOARD,
    shapes: Shapes = None,
    fixed: Fixed = None,
    as_json: Json = False,
) -> None:
    """Run one model on many runtimes and find the first tensor that differs."""
    from smidgen import tables
    from smidgen import verify as verify_graph

    graph = load_model(model, shapes, fixed)
    arrays = tables.read_inputs(graph, inputs, samples)
    result = verify_graph(graph, arrays, board=board)
    show(as_json, result.to_json(), result.table())
    exit_if(not result.ok)


def calibrate(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write; else the one in use.")
    ] = None,
) -> None:
    """Measure what the kernels cost, for `--optimize speed` to choose by. For contributors."""
    from smidgen.backends.c.calibrate import calibrate as measure
    from smidgen.backends.c.calibrate import to_toml
    from smidgen.backends.c.costs import COSTS
    from smidgen.files import replace_file

    fits = measure(teller(False))
    replace_file(out or COSTS, to_toml(fits).encode())
