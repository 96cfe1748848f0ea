"""From one model to a smaller one, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
from smidgen.cli._training import (
    Cache,
    Checkpoint,
    Teacher,
    Threads,
    Watch,
    beside,
    check_unused,
    epochs_of,
    get_teacher,
    with_settings,
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


@with_settings
def quantize(
    model: Model,
    settings: dict[str, Any],
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
    train: Annotated[
        bool, typer.Option("--train", help="Train in the integers that the device computes with.")
    ] = False,
    teacher: Teacher = None,
    cache: Cache = None,
    checkpoint: Checkpoint = None,
    threads: Threads = None,
    shapes: Shapes = None,
    fixed: Fixed = None,
    as_json: Json = False,
) -> None:
    """Turn a float model into an integer .tflite and say which layers lose most.

    With --train it is trained in integers first, which an interrupted run goes on with.
    """
    import dataclasses

    from smidgen import tables, write_tflite
    from smidgen.data import to_inputs
    from smidgen.transforms import quantize as q

    dataset = load_data(data)
    if dataset is None:
        raise SmidgenError("no samples to calibrate on", hint="give --data samples.npz")
    wanted = q.get_recipe(recipe)
    if float_io:
        wanted = dataclasses.replace(wanted, float_io=True)
    source = load_model(model, shapes, fixed)
    path = checkpoint or beside(out)
    with Watch(as_json, [path] if train else [], checkpoint is not None) as watch:
        if train:
            from smidgen import train_quantized

            if stream:
                raise SmidgenError("--stream with --train", hint="train on windows, or quantize")
            graph = train_quantized(
                source, dataset, wanted, samples=samples, teacher=get_teacher(teacher),
                checkpoint=path, cache=cache, threads=threads, progress=watch.step,
                answered=watch.answered, **settings,
            )  # fmt: skip
        else:
            check_unused(settings, "--train")
            graph = q.quantize(source, dataset, wanted, samples=samples, stream=stream)
        size = len(write_tflite(graph, out, compact=not delegates))
    few = to_inputs(source, [array[:64] for array in dataset.inputs])
    # What was trained is not what it was: its layers have nothing to be compared with.
    errors = [] if train else q.layer_errors(q.prepare(source), graph, few, stream=stream)
    facts = {
        "out": str(out),
        "file_bytes": size,
        "constant_bytes": graph.constant_bytes,
        "epochs": epochs_of(watch),
        "layers": [dataclasses.asdict(e) for e in errors],
        "float_layers": [dataclasses.asdict(layer) for layer in q.float_layers(graph)],
    }
    show(as_json, facts, tables.quantize(facts, errors))
