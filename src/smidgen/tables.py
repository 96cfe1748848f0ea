"""What the command line prints for people, and the small inputs it reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from smidgen.errors import DataError
from smidgen.ir import Graph
from smidgen.targets.board import parse_bytes as parse_bytes

if TYPE_CHECKING:
    from smidgen.facts import BoardFacts, ModelFacts
    from smidgen.frontends import Surveyed
    from smidgen.report.result import Squeezed
    from smidgen.report.stage import Stage
    from smidgen.targets.board import Board
    from smidgen.training.sensitivity import Sensitivity
    from smidgen.transforms.quantize import LayerError

Array = np.ndarray[Any, Any]


def parse_shapes(options: list[str] | None) -> dict[str, tuple[int, ...]]:
    """Shapes by input, from options such as "x=1,3,96,96".

    Raises:
        DataError: quoting the option that is none.

    Example:
        >>> parse_shapes(["x=1,3,96,96"])
        {'x': (1, 3, 96, 96)}
    """
    found: dict[str, tuple[int, ...]] = {}
    for option in options or ():
        name, _, sizes = option.rpartition("=")
        try:
            found[name] = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            name = ""
        if not name:
            raise DataError(f"{option!r} is no shape of an input", hint="give --shape x=1,3,96,96")
    return found


def parse_fixed(options: list[str] | None) -> dict[str, Any]:
    """Values by input, from options such as "sr=16000" or "size=[1, 2]".

    Raises:
        DataError: quoting the option that is none.

    Example:
        >>> parse_fixed(["sr=16000"])
        {'sr': 16000}
    """
    found: dict[str, Any] = {}
    for option in options or ():
        name, _, value = option.rpartition("=")
        try:
            found[name] = json.loads(value)
        except ValueError:
            name = ""
        if not name:
            raise DataError(f"{option!r} is no value of an input", hint="give --fix sr=16000")
    return found


def read_inputs(graph: Graph, path: Path | None, samples: int = 1) -> list[Array]:
    """Inputs from a file; seeded random ones if there is none.

    Args:
        graph: whose inputs they are.
        path: an `.npy` file for a model with one input, or an `.npz` file with x, x1 and so on.
        samples: how many random ones.

    Raises:
        DataError: if the file holds no arrays or they do not fit.
    """
    from smidgen.data import Dataset, to_inputs
    from smidgen.interpreter import random_inputs

    if path is None:
        return random_inputs(graph, samples)
    if path.suffix == ".npz":
        return to_inputs(graph, Dataset.from_npz(path).inputs)
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"is not a readable .npy file ({error})", where=str(path)) from error
    if not isinstance(array, np.ndarray):
        raise DataError("is an archive", where=str(path), hint="call it .npz, with x, x1 ... in it")
    if array.ndim < 1 or not len(array):
        raise DataError("holds no samples", where=str(path), hint="save an array (n, ...)")
    return to_inputs(graph, [array])


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A table; columns whose name ends in a space are aligned to the left, others to the right."""
    result = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        left = column.endswith(" ")
        result.add_column(column.strip(), justify="left" if left else "right", overflow="fold")
    for row in rows:
        result.add_row(*[_cell(item) for item in row])
    return result


def _cell(item: Any) -> str:
    if item is None:
        return "–"
    if isinstance(item, float):
        return f"{item:,.1f}"
    return f"{item:,}" if isinstance(item, int) else str(item)


def survey(model: str, found: Sequence[Surveyed]) -> list[Any]:
    """The operators of a file that cannot be read whole, and what to do about each that is why."""
    rows = [
        (x.index, *map(escape, (x.operator, x.layer, x.output, x.problem or ""))) for x in found
    ]
    bad = [x for x in found if x.problem]
    ways = dict.fromkeys(f"{x.operator}: {x.hint}" for x in bad if x.hint)
    columns = ("#", "operator ", "layer ", "output ", "problem ")
    return [
        table(model, columns, rows),
        f"{len(bad)} of {len(found)} operators cannot be read. What would work:",
        *(f"  {escape(way)}" for way in ways),
    ]


def inspect_board(facts: BoardFacts) -> list[Any]:
    """What a model needs of a board, and what to do about what it lacks."""
    rows = [
        ("flash, constants alone", facts.flash_bytes, facts.flash_limit),
        ("RAM, arena and states", facts.ram_bytes, facts.ram_limit),
    ]
    verdict = "nothing stands in the way; `smidgen compile` measures code and stack as well"
    return [
        table(facts.board, ("memory ", "needs at least", "has"), rows),
        *(f"[red]{line}[/]" for line in map(escape, facts.advice)),
        *([] if facts.advice else [verdict]),
    ]


def inspect(facts: ModelFacts, signatures: Sequence[str] = ()) -> list[Any]:
    """The layers and sums of a model."""
    rows = [
        (i, x.label, f"{x.dtype}{list(x.shape)}", x.macs, x.constant_bytes, x.obstacle or "")
        for i, x in enumerate(facts.layers)
    ]
    columns = ("#", "layer ", "output ", "MACs", "constants B", "obstacle ")
    lines = [
        f"inputs   {', '.join(facts.inputs)}",
        f"outputs  {', '.join(facts.outputs)}",
        *([f"states   {', '.join(facts.states)}"] if facts.states else []),
        *([f"functions  {', '.join(signatures)}"] if len(signatures) > 1 else []),
        f"{facts.parameters:,} parameters in {facts.constant_bytes:,} bytes, {facts.macs:,} MACs, "
        f"{facts.activation_bytes:,} bytes of activations at the peak"
        + (f", {facts.state_bytes:,} of states" if facts.states else ""),
    ]
    if facts.obstacles:
        lines.append(f"{len(facts.obstacles)} layers have no C kernel as they are: see obstacle")
    return [table(facts.name, columns, rows), *lines]


def boards(known: Sequence[Board]) -> Table:
    """Boards by name."""
    rows = [
        (b.name, b.title, b.core, f"{b.clock_mhz:g}", b.flash_bytes // 1024, b.ram_bytes // 1024)
        for b in known
    ]
    return table("Boards", ("name ", "board ", "core ", "MHz", "flash KB", "RAM KB"), rows)


def shrink(facts: dict[str, Any]) -> list[str]:
    """What shrinking did."""
    before, after = facts["file_bytes"]
    return [
        *facts["changes"],
        f"file {before:,} → {after:,} bytes, constants "
        f"{facts['constant_bytes'][0]:,} → {facts['constant_bytes'][1]:,}; outputs identical",
        f"wrote {facts['out']}",
    ]


def quantize(facts: dict[str, Any], errors: Sequence[LayerError]) -> list[Any]:
    """The layers that lose most."""
    rows = [(e.layer, e.own_snr_db, e.snr_db, f"{e.clipped:.2%}", e.cause) for e in errors[:10]]
    columns = ("layer ", "own dB", "so far dB", "clipped", "likely cause ")
    worst = [table("Signal to noise by layer, worst first", columns, rows)] if rows else []
    return [
        *worst,
        *float_layers(facts["float_layers"]),
        f"wrote {facts['out']}: {facts['file_bytes']:,} bytes, of which "
        f"{facts['constant_bytes']:,} are constants",
    ]


def float_layers(layers: Sequence[dict[str, Any]]) -> list[Any]:
    """The layers that are not computed in integers, if there are any."""
    if not layers:
        return []
    rows = [(e["layer"], e["elements"], e["converted"], e["reason"]) for e in layers]
    columns = ("layer ", "float elements", "converted", "why ")
    return [table("Layers that stay in float32", columns, rows)]


def compile(facts: dict[str, Any]) -> list[Any]:
    """Sizes on the board."""
    rows = [
        ("flash", facts["flash_bytes"], facts["spare"]["flash"]),
        ("  code", facts["code_bytes"], None),
        ("  constants", facts["constant_bytes"], None),
        ("RAM", facts["ram_bytes"], facts["spare"]["ram"]),
        ("  tensor arena", facts["arena_bytes"], None),
        *([("  states", facts["state_bytes"], None)] if facts["state_bytes"] else []),
        ("  stack", facts["stack_bytes"], None),
    ]
    title = f"{facts['board']}, {facts['toolchain']}"
    ends = [(chain[0], chain[-1]) for chain in facts["streams"]]
    return [
        table(title, ("memory ", "bytes", "to spare"), rows),
        *(f"by rows: {first}" + (f" to {last}" * (first != last)) for first, last in ends),
        f"wrote {facts['out']}",
    ]


def run(facts: dict[str, Any]) -> list[Any]:
    """Outputs and cost."""
    parts: list[Any] = [f"output {i}: {o}" for i, o in enumerate(facts["outputs"])]
    if facts["layers"]:
        parts.append(profile(facts["layers"], facts["cycles_per_mac_limit"]))
    if facts["instructions"] is not None:
        parts.append(
            f"{facts['instructions']:,} instructions, {_cell(facts['cycles_estimated'])} cycles "
            f"(estimated), {facts['stack_bytes']:,} bytes of stack, on {facts['on']}"
        )
    return parts


def profile(layers: Sequence[dict[str, Any]], limit: float | None) -> Table:
    """What each layer costs and, beside each, the fewest cycles a MAC can take on the core."""
    columns = ["layer ", "instructions", "cycles (estimated)", "MACs", "cycles/MAC (est.)"]
    rows = []
    for x in layers:
        each = x["cycles_per_mac_estimated"]
        shown = None if each is None else f"{each:.2f}"
        rows.append(
            [x["layer"], x["instructions"], x["cycles_estimated"], x["macs"] or None, shown]
        )
        if limit is not None:
            rows[-1].append(None if each is None else f"{limit:g}")
    cycles = [x["cycles_estimated"] for x in layers]
    macs = sum(x["macs"] for x in layers)
    total = sum(cycles) if None not in cycles else None
    shown = f"{total / macs:.2f}" if total is not None and macs else None
    rows.append(["all layers", sum(x["instructions"] for x in layers), total, macs or None, shown])
    if limit is not None:
        columns.append("at best")
        rows[-1].append(None if shown is None else f"{limit:g}")
    return table("Layers", columns, rows)


def squeeze(result: Squeezed) -> list[Any]:
    """Before and after, what the firmware takes, and the verdict."""
    from smidgen.report.result import summary

    facts = summary(result)
    firmware = facts["firmware"]
    metric = result.after.metric if result.after else "accuracy"
    shown = [s and s.shown for s in (result.before, result.after)]
    rows = [
        (metric, *shown),
        ("MACs", facts["source"]["macs"], facts["result"]["macs"]),
        ("constants B", facts["source"]["constant_bytes"], facts["result"]["constant_bytes"]),
        ("file B", facts["source"]["file_bytes"], facts["result"]["file_bytes"]),
        ("flash B", None, firmware["flash_bytes"]),
        ("RAM B", None, firmware["ram_bytes"]),
        ("instructions", None, firmware["instructions"]),
        ("ms (estimated)", None, firmware["milliseconds_estimated"]),
    ]
    parts: list[Any] = [
        *([stages(result.stages)] if len(result.stages) > 1 else []),
        table(f"{facts['model']} on {facts['board']}", ("", "before", "after"), rows),
        result.verification.table(),
        f"[bold {'green' if result.fits else 'red'}]{result.verdict}[/]",
    ]
    if result.out is not None:
        parts.append(f"results in {result.out}")
    return parts


def stages(found: Sequence[Stage]) -> Table:
    """What each step of a squeeze left, of the integer model that it becomes; a column a step."""
    metric = found[0].score.metric if found[0].score else "accuracy"
    rows = [
        (metric, *(s.score and s.score.shown for s in found)),
        ("MACs", *(s.macs for s in found)),
        ("parameters", *(s.parameters for s in found)),
        ("weights that are zero", *(f"{s.sparsity:.1%}" for s in found)),
        (".tflite B", *(s.tflite_bytes for s in found)),
        ("  compressed", *(s.gzip_bytes for s in found)),
        ("flash B", *(s.flash_bytes for s in found)),
        ("RAM B", *(s.ram_bytes for s in found)),
        ("seconds to train", *(s.seconds or None for s in found)),
    ]
    return table("Step by step", (" ", *(s.name for s in found)), rows)


def trained(facts: dict[str, Any]) -> list[Any]:
    """What training or pruning made of a model."""
    rows = [
        ("MACs", *facts["macs"]),
        ("parameters", *facts["parameters"]),
        ("weights that are zero", *(f"{part:.1%}" for part in facts["sparsity"])),
    ]
    parts: list[Any] = [table(facts["out"], (" ", "before", "after"), rows)]
    if facts["channels_first"]:
        inputs = ", ".join(facts["channels_first"])
        parts.append(f"its samples are channels last now, those of the source first: {inputs}")
    return [*parts, f"wrote {facts['out']}: {facts['file_bytes']:,} bytes, float"]


def groups(model: str, found: Sequence[dict[str, Any]]) -> list[Any]:
    """What goes together, and what half of each group would save."""
    rows = []
    for group in found:
        first, *more = group["nodes"]
        nodes = f"{first} and {len(more)} more" if more else first
        saved = [_share(group[name]) for name in ("macs", "parameters", "ram")]
        left = [group["left"]] if "left" in group else []
        rows.append((nodes, group["size"], *left, *saved, group["pinned"] or ""))
    left = ["would be left"] if any("left" in group for group in found) else []
    columns = ("group ", "channels", *left, "MACs", "parameters", "RAM", "must stay because ")
    free = sum(group["pinned"] is None for group in found)
    return [
        table(f"{model}: saved without half of each group, the others staying", columns, rows),
        f"channels of {free} of {len(found)} groups can go; nothing was changed",
    ]


def sensitivity(model: str, found: Sensitivity) -> list[Any]:
    """What is left of the score without parts of each group and layer."""
    percent = found.metric == "accuracy"

    def shown(score: float) -> str:
        return f"{score:.2%}" if percent else f"{score:.4g}"

    rows = [(row.kind, row.name, row.size, *map(shown, row.scores)) for row in found.rows]
    columns = (" ", "of ", "size", *(f"without {part:.0%}" for part in found.parts))
    return [
        table(f"{model}: {found.metric} without a part of each alone", columns, rows),
        f"{shown(found.whole)} as it is, on {found.samples:,} training samples held apart",
    ]


def _share(part: float | None) -> str | None:
    return None if part is None else f"{part:.1%}"
