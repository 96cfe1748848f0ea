"""What trains: fine-tuning, distillation, pruning. Float models in, float models out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smidgen.cli._shared import Data, Fixed, Json, Model, Shapes, load_data, load_model, show
from smidgen.cli._training import (
    Cache,
    Channels,
    Checkpoint,
    Importance,
    Pattern,
    Rounds,
    Scope,
    Target,
    Teacher,
    Threads,
    Watch,
    Weights,
    beside,
    epochs_of,
    get_teacher,
    with_settings,
)
from smidgen.errors import SmidgenError

if TYPE_CHECKING:
    from smidgen.ir import Graph

Out = Annotated[Path, typer.Option("--out", "-o", help="The float .tflite file to write.")]
Features = Annotated[
    bool, typer.Option("--features", help="Learn what lies inside a float teacher as well.")
]
Live = Annotated[
    bool, typer.Option("--live-teacher", help="Ask the teacher about every augmented batch.")
]


@with_settings
def finetune(
    model: Model,
    settings: dict[str, Any],
    data: Data = None,
    out: Out = Path("finetuned.tflite"),
    teacher: Teacher = None,
    features: Features = False,
    live_teacher: Live = False,
    cache: Cache = None,
    checkpoint: Checkpoint = None,
    threads: Threads = None,
    shapes: Shapes = None,
    fixed: Fixed = None,
    as_json: Json = False,
) -> None:
    """Train a float model further, on x and y alone. Connections that are gone stay gone.

    An interrupted run goes on where it was with the same command.
    """
    source = load_model(model, shapes, fixed)
    _finetune(
        source, source, settings, data, out, get_teacher(teacher), checkpoint,
        as_json, features=features, live_teacher=live_teacher, cache=cache, threads=threads,
    )  # fmt: skip


@with_settings
def distil(
    model: Model,
    settings: dict[str, Any],
    teacher: Annotated[
        str,
        typer.Option(help="Who teaches: a model file of any kind, or an .npy.", metavar="MODEL"),
    ],
    data: Data = None,
    out: Out = Path("student.tflite"),
    width: Annotated[
        float, typer.Option(help="Part of each layer's channels that the student begins with.")
    ] = 1.0,
    features: Features = False,
    live_teacher: Live = False,
    cache: Cache = None,
    checkpoint: Checkpoint = None,
    threads: Threads = None,
    shapes: Shapes = None,
    fixed: Fixed = None,
    as_json: Json = False,
) -> None:
    """Let a teacher pass on what it knows; labels may be missing.

    With --width the student is a narrower MODEL. An interrupted run goes on where it was with the
    same command.
    """
    from smidgen import student as student_of

    source = load_model(model, shapes, fixed)
    narrow = source if width == 1 else student_of(source, width, load_data(data))
    _finetune(
        source, narrow, settings, data, out, get_teacher(teacher), checkpoint,
        as_json, features=features, live_teacher=live_teacher, cache=cache, threads=threads,
    )  # fmt: skip


@with_settings
def prune(
    model: Model,
    settings: dict[str, Any],
    data: Data = None,
    out: Out = Path("pruned.tflite"),
    channels: Channels = None,
    target: Target = "macs",
    weights: Weights = None,
    pattern: Pattern = None,
    importance: Importance = "auto",
    scope: Scope = "lamp",
    rounds: Rounds = 1,
    teacher: Teacher = None,
    cache: Cache = None,
    checkpoint: Checkpoint = None,
    threads: Threads = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only say what goes together, and what it would save."),
    ] = False,
    shapes: Shapes = None,
    fixed: Fixed = None,
    as_json: Json = False,
) -> None:
    """Take whole channels or single connections away, and train what is left.

    Without --data nothing is trained, and the weights alone decide. An interrupted run goes on
    where it was with the same command.
    """
    from smidgen import prune as prune_graph
    from smidgen.training.prune import checkpoints_of

    source = load_model(model, shapes, fixed)
    samples = load_data(data)
    if dry_run:
        options = {"target": target, "importance": importance}
        _dry_run(source, channels, samples, options, as_json)
        return
    path = checkpoint or beside(out)
    start = time.monotonic()
    with Watch(as_json, checkpoints_of(path, rounds), checkpoint is not None) as watch:
        graph = prune_graph(
            source, samples, channels=channels, weights=weights, pattern=pattern, target=target,
            importance=importance, scope=scope, rounds=rounds, teacher=get_teacher(teacher),
            checkpoint=path, cache=cache, threads=threads, progress=watch.step,
            answered=watch.answered, **settings,
        )  # fmt: skip
        _finish(source, graph, out, watch, start, as_json)


def sensitivity(
    model: Model,
    data: Data = None,
    importance: Importance = "auto",
    shapes: Shapes = None,
    fixed: Fixed = None,
    as_json: Json = False,
) -> None:
    """What a float model scores without parts of each group of channels and of each layer.

    One at a time, without training, on samples of x that nothing is chosen on.
    """
    import dataclasses

    from smidgen import sensitivity as measure
    from smidgen import tables

    if data is None:
        raise SmidgenError("no samples to measure on", hint="give --data samples.npz")
    graph, samples = load_model(model, shapes, fixed), load_data(data)
    with Watch(as_json, [], keep=True) as watch:
        found = measure(graph, samples, importance=importance, progress=watch.counted)
    show(as_json, dataclasses.asdict(found), tables.sensitivity(graph.name, found))


def _finetune(
    source: Graph,
    student: Graph,
    settings: dict[str, Any],
    data: Path | None,
    out: Path,
    teacher: Any,
    checkpoint: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    from smidgen import finetune as finetune_graph

    if data is None:
        raise SmidgenError("no samples to train on", hint="give --data samples.npz")
    samples = load_data(data)
    path = checkpoint or beside(out)
    start = time.monotonic()
    with Watch(as_json, [path], checkpoint is not None) as watch:
        graph = finetune_graph(
            student, samples, teacher=teacher, checkpoint=path, progress=watch.step,
            answered=watch.answered, **options, **settings,
        )  # fmt: skip
        _finish(source, graph, out, watch, start, as_json)


def _finish(
    source: Graph, graph: Graph, out: Path, watch: Watch, start: float, as_json: bool
) -> None:
    """Write what was trained, and say what became of the model."""
    from smidgen import describe, tables, write_tflite
    from smidgen.transforms.prune.weights import sparsity_of
    from smidgen.transforms.rewrites import simplify

    source, graph = simplify(source), simplify(graph)  # a file holds no batch norms
    size = len(write_tflite(graph, out))
    before, after = describe(source), describe(graph)
    facts = {
        "out": str(out),
        "file_bytes": size,
        "macs": [before.macs, after.macs],
        "parameters": [before.parameters, after.parameters],
        "sparsity": [sparsity_of(source), sparsity_of(graph)],
        "channels_first": sorted(graph.channels_first),
        "epochs": epochs_of(watch),
        "seconds": time.monotonic() - start,
    }
    show(as_json, facts, tables.trained(facts))


def _dry_run(
    graph: Graph, channels: float | None, data: Any, options: dict[str, Any], as_json: bool
) -> None:
    import dataclasses

    from smidgen import tables
    from smidgen.transforms.prune.groups import survey
    from smidgen.transforms.shrink import Channels as Found

    groups = [dataclasses.asdict(group) for group in survey(Found(graph))]
    if channels is not None:
        from smidgen.training.prune import choose_channels

        cut = choose_channels(graph, channels, data, **options)
        kept = iter([cut.kept(group) for group in cut.groups])
        for group in groups:
            group["left"] = group["size"] if group["pinned"] else next(kept)
    show(as_json, {"groups": groups}, tables.groups(graph.name, groups))
