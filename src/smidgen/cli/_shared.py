"""What the commands share: their common options, and how they load, print and end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Model = Annotated[
    Path, typer.Argument(help="A .tflite, .keras, .h5, .onnx or .pt2 file.", show_default=False)
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
Inputs = Annotated[
    Path | None,
    typer.Option(
        "--input",
        "-i",
        help="An .npy array (n, ...), or an .npz file with x, x1 ... of several inputs; seeded "
        "ones if none.",
        metavar="FILE",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        "-d",
        help="An .npz file with x, y, x_test, y_test; x1, y1 ... of further inputs, outputs.",
        metavar="NPZ",
    ),
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


def show(as_json: bool, facts: Any, text: Any) -> None:
    """Print a result: `facts` as JSON, or `text` (anything rich can draw) for a person."""
    if as_json:
        import json

        typer.echo(json.dumps(facts, indent=1))
        return
    from rich.console import Console

    console = Console(soft_wrap=True)
    for part in text if isinstance(text, list) else [text]:
        console.print(part, highlight=False)


def teller(as_json: bool) -> Any:
    """Shows each step of a long job as it begins, on standard error."""
    from rich.console import Console

    console = Console(stderr=True, quiet=as_json)
    return lambda line: console.print(f"[dim]· {line}[/dim]", highlight=False)


def load_model(
    model: Path, shapes: list[str] | None, fixed: list[str] | None, signature: str | None = None
) -> Any:
    from smidgen import load, tables

    dims, values = tables.parse_shapes(shapes), tables.parse_fixed(fixed)
    return load(model, shapes=dims, fixed=values, signature=signature)


def load_data(path: Path | None) -> Any:
    from smidgen.data import Dataset

    return None if path is None else Dataset.from_npz(path)


def exit_if(failed: bool) -> None:
    if failed:
        raise typer.Exit(1)
