"""The command line: parse, call the API, print. Exit 0 done, 1 a check failed, 2 bad input."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from smidgen import __version__
from smidgen.errors import SmidgenError

app = typer.Typer(
    help="Squeeze a trained neural network until it fits a small device, and prove that it works.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Model = Annotated[
    Path, typer.Argument(help="A .tflite, .keras, .h5 or .onnx file.", show_default=False)
]
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        "--shape", metavar="NAME=1,3,96,96", help="Shape of an ONNX input with open dimensions."
    ),
]
Fixed = Annotated[
    list[str] | None,
    typer.Option("--fix", metavar="NAME=VALUE", help="Value of an ONNX input that never changes."),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", "-d", help="An .npz file with x, y, x_test, y_test.", metavar="NPZ"),
]
BoardName = Annotated[
    str, typer.Option("--board", "-b", help="A board (see `smidgen boards`) or a .toml file.")
]
Optimize = Annotated[str, typer.Option(help="speed, balanced or flash.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")]
RecipeName = Annotated[str, typer.Option(help="int8, int8-mse, int8-float-io, int4, int16x8, ...")]
Stream = Annotated[
    bool, typer.Option("--stream", help="The samples are consecutive steps: states are kept.")
]
DEFAULT_BOARD = "nucleo-l4r5zi"


def _print(as_json: bool, facts: Any, text: Any) -> None:
    """Print a result: `facts` as JSON, or `text` (anything rich can draw) for a person."""
    if as_json:
        import json

        typer.echo(json.dumps(facts, indent=1))
        return
    from rich.console import Console

    console = Console(soft_wrap=True)
    for part in text if isinstance(text, list) else [text]:
        console.print(part, highlight=False)


def _teller(as_json: bool) -> Any:
    """Shows each step of a long job as it begins, on standard error."""
    from rich.console import Console

    console = Console(stderr=True, quiet=as_json)
    return lambda line: console.print(f"[dim]· {line}[/dim]", highlight=False)


def _load(
    model: Path, shapes: list[str] | None, fixed: list[str] | None, signature: str | None = None
) -> Any:
    from smidgen import load, tables

    dims, values = tables.parse_shapes(shapes), tables.parse_fixed(fixed)
    return load(model, shapes=dims, fixed=values, signature=signature)


def _dataset(path: Path | None) -> Any:
    from smidgen.data import Dataset

    return None if path is None else Dataset.from_npz(path)


@app.command()
def inspect(
    model: Model,
    board: Annotated[
        str | None, typer.Option("--board", "-b", help="Also compare with a board's memory.")
    ] = None,
    signature: Annotated[
        str | None, typer.Option(help="A function of a .tflite file, by its key.")
    ] = None,
    shapes: Shapes = None,
    fixed: Fixed = None,
    as_json: Json = False,
) -> None:
    """What a model consists of, and what would keep it off a board, layer by layer.

    A model that cannot be read whole still gets its table of operators, and exit code 1.
    """
    import dataclasses

    from smidgen import signatures, tables
    from smidgen.errors import UnsupportedModelError
    from smidgen.facts import describe, describe_on
    from smidgen.frontends import survey
    from smidgen.targets.board import load_board

    try:
        graph = _load(model, shapes, fixed, signature)
    except UnsupportedModelError as error:
        found = survey(model, signature)
        if not found:
            raise
        problem = {"message": error.message, "where": error.where, "hint": error.hint}
        bad = {"error": problem, "operators": [dataclasses.asdict(one) for one in found]}
        _print(as_json, bad, tables.survey(model.name, found))
        raise typer.Exit(1) from None
    keys, described = signatures(model), describe(graph)
    facts: dict[str, Any] = {**dataclasses.asdict(described), "signatures": list(keys)}
    text = tables.inspect(described, keys)
    if board is not None:
        on = describe_on(graph, load_board(board))
        facts["board"] = {**dataclasses.asdict(on), "fits": on.fits}
        text += tables.inspect_board(on)
    _print(as_json, facts, text)
    if board is not None:
        _exit_if(not on.fits)


@app.command()
def boards(as_json: Json = False) -> None:
    """The boards that Smidgen knows."""
    import dataclasses

    from smidgen import tables
    from smidgen.targets.board import list_boards

    known = list_boards()
    _print(as_json, [dataclasses.asdict(board) for board in known], tables.boards(known))


@app.command()
def shrink(
    model: Model,
    out: Annotated[Path, typer.Option("--out", "-o", help="The .tflite file to write.")] = Path(
        "shrunk.tflite"
    ),
    plan: Annotated[
        bool, typer.Option("--plan", help="Add a memory plan for TensorFlow Lite Micro.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make an int8 .tflite smaller without changing a single output byte. Needs no data."""
    from smidgen import load, tables, write_tflite
    from smidgen.backends.tflite import plan_for_tflm
    from smidgen.transforms.rewrites import shrink as shrink_graph

    graph = load(model)
    small, report = shrink_graph(graph)
    offsets = plan_for_tflm(small) if plan else None
    size = len(write_tflite(small, out, offline_memory_plan=offsets))
    before = model.stat().st_size
    facts = {
        "file_bytes": [before, size],
        "constant_bytes": [graph.constant_bytes, small.constant_bytes],
        "changes": [str(change) for change in report.changes],
        "out": str(out),
    }
    _print(as_json, facts, tables.shrink(facts))


@app.command()
def quantize(
    model: Model,
    data: Data = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The .tflite file to write.")] = Path(
        "model.tflite"
    ),
    recipe: RecipeName = "int8",
    stream: Stream = False,
    samples: Annotated[int, typer.Option(help="How many samples to calibrate on.", min=1)] = 1000,
    float_io: Annotated[
        bool, typer.Option("--float-io", help="Keep float32 inputs and outputs.")
    ] = False,
    delegates: Annotated[
        bool,
        typer.Option("--delegates", help="Add what LiteRT's delegates need (XNNPACK, GPU)."),
    ] = False,
    shapes: Shapes = None,
    fixed: Fixed = None,
    as_json: Json = False,
) -> None:
    """Turn a float model into an integer .tflite and say which layers lose most."""
    import dataclasses

    from smidgen import tables, write_tflite
    from smidgen.data import to_model
    from smidgen.transforms import quantize as q

    dataset = _dataset(data)
    if dataset is None:
        raise SmidgenError("no samples to calibrate on", hint="give --data samples.npz")
    wanted = q.get_recipe(recipe)
    if float_io:
        wanted = dataclasses.replace(wanted, float_io=True)
    source = _load(model, shapes, fixed)
    graph = q.quantize(source, dataset, wanted, samples=samples, stream=stream)
    size = len(write_tflite(graph, out, compact=not delegates))
    few = [to_model(source, dataset.x[:64])]
    errors = q.layer_errors(q.prepare(source), graph, few, stream=stream)
    facts = {
        "out": str(out),
        "file_bytes": size,
        "constant_bytes": graph.constant_bytes,
        "layers": [dataclasses.asdict(e) for e in errors],
        "float_layers": [dataclasses.asdict(layer) for layer in q.float_layers(graph)],
    }
    _print(as_json, facts, tables.quantize(facts, errors))


@app.command()
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
    graphs = [_load(model, shapes, fixed, key) for key in keys]
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
    _print(as_json, facts, tables.compile(facts))
    _exit_if(any(value < 0 for value in spare.values()))


@app.command()
def run(
    model: Model,
    inputs: Annotated[
        Path | None,
        typer.Option("--input", "-i", help="An .npy array (n, ...); a seeded one if none."),
    ] = None,
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

    graph = _load(model, shapes, fixed)
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
    _print(as_json, facts, tables.run(facts))


@app.command()
def verify(
    model: Model,
    inputs: Annotated[
        Path | None, typer.Option("--input", "-i", help="An .npy array (n, ...).")
    ] = None,
    samples: Annotated[int, typer.Option(help="How many random inputs otherwise.", min=1)] = 8,
    board: BoardName = DEFAULT_BOARD,
    shapes: Shapes = None,
    fixed: Fixed = None,
    as_json: Json = False,
) -> None:
    """Run one model on many runtimes and find the first tensor that differs."""
    from smidgen import tables
    from smidgen import verify as verify_graph

    graph = _load(model, shapes, fixed)
    arrays = tables.read_inputs(graph, inputs, samples)
    result = verify_graph(graph, arrays, board=board)
    _print(as_json, result.to_json(), result.table())
    _exit_if(not result.ok)


@app.command()
def squeeze(
    model: Model,
    data: Data = None,
    board: BoardName = DEFAULT_BOARD,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path("out"),
    flash: Annotated[str | None, typer.Option(help="Flash to fit into, such as 64KB.")] = None,
    ram: Annotated[str | None, typer.Option(help="RAM to fit into, such as 32KB.")] = None,
    latency_ms: Annotated[float | None, typer.Option(help="Estimated time allowed.")] = None,
    max_drop: Annotated[float | None, typer.Option(help="Accuracy it may lose (0.01).")] = None,
    recipe: RecipeName = "int8",
    optimize: Optimize = "balanced",
    shapes: Shapes = None,
    fixed: Fixed = None,
    as_json: Json = False,
) -> None:
    """The whole job: int8, .tflite, C, emulated chip, comparison, accuracy, verdict, report."""
    from smidgen import squeeze as squeeze_model
    from smidgen import tables
    from smidgen.report.result import summary

    result = squeeze_model(
        _load(model, shapes, fixed) if shapes or fixed else model,
        _dataset(data),
        board,
        out=out,
        flash=tables.parse_bytes(flash),
        ram=tables.parse_bytes(ram),
        latency_ms=latency_ms,
        max_drop=max_drop,
        recipe=recipe,
        optimize=optimize,
        tell=_teller(as_json),
    )
    _print(as_json, summary(result), tables.squeeze(result))
    _exit_if(not result.fits)


@app.command()
def report(
    results: Annotated[Path, typer.Argument(help="A smidgen.json, or the folder it is in.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file to write.")] = Path(
        "report.html"
    ),
    as_json: Json = False,
) -> None:
    """Draw the report of an earlier squeeze again."""
    from smidgen.report import read_record, write_report

    write_report(read_record(results), out)
    _print(as_json, {"out": str(out)}, f"wrote {out}")


@app.command(hidden=True)
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

    fits = measure(_teller(False))
    replace_file(out or COSTS, to_toml(fits).encode())


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path(
        "out/demo"
    ),
    board: BoardName = "arduino-nano-33-ble",
    as_json: Json = False,
) -> None:
    """Train a small network on real digits, squeeze it and run it on an emulated chip."""
    from smidgen import tables
    from smidgen.demo import run_demo
    from smidgen.report.result import summary

    result = run_demo(out, board, _teller(as_json))
    _print(as_json, summary(result), tables.squeeze(result))
    _exit_if(not result.fits)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _exit_if(failed: bool) -> None:
    if failed:
        raise typer.Exit(1)


def main() -> NoReturn:
    """Entry point: every expected failure is one message and exit code 2, never a traceback."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app(standalone_mode=True)
    except SmidgenError as error:
        _fail(error.message, error.where, error.hint)
    except OSError as error:
        _fail(error.strerror or str(error), str(error.filename or ""), None)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(130)
    sys.exit(0)


def _terminated(number: int, frame: Any) -> NoReturn:
    """Ends as an exception does, so that half-written folders go."""
    sys.exit(128 + number)


def _fail(message: str, where: str | None, hint: str | None) -> NoReturn:
    if "--json" in sys.argv:
        import json

        typer.echo(json.dumps({"error": {"message": message, "where": where, "hint": hint}}))
    place = f"{where}: " if where else ""
    typer.echo(f"error: {place}{message}", err=True)
    if hint:
        typer.echo(f"hint: {hint}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
