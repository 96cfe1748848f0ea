"""From one model to a smaller one, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smidgen.cli._shared import (
    Data,
    Fixed,
    Json,
    Model,
    RecipeName,
    Shapes,
    Stream,
    load_data,
    load_model,
    show,
)
from smidgen.errors import SmidgenError


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
    show(as_json, facts, tables.shrink(facts))


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

    dataset = load_data(data)
    if dataset is None:
        raise SmidgenError("no samples to calibrate on", hint="give --data samples.npz")
    wanted = q.get_recipe(recipe)
    if float_io:
        wanted = dataclasses.replace(wanted, float_io=True)
    source = load_model(model, shapes, fixed)
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
    show(as_json, facts, tables.quantize(facts, errors))
