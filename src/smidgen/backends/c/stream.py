"""Run a chain of layers a few rows at a time, so that no image inside the chain exists as a whole.

Each layer's kernel is called for a *band* of output rows at a time, on the rows of its operands
that the band needs, as an image of their own. What a kernel computes does not change, nor is any
row computed twice: a layer that other layers wait for keeps its last rows in a *window*, a few
consecutive rows of an image. When a window is full, the rows still needed move to its start.

The order of bands: always the last layer that can run. So rows are used up as soon as they can be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from smidgen.backends.c.select_kernels import Step
from smidgen.ir import Graph, TensorType
from smidgen.ops import Op, Unsupported
from smidgen.ops._kernel import Param, Site
from smidgen.ops._rows import RowWindow

_ALIGNMENT = 4  # of windows and scratch
_CYCLES_PER_MOVED_BYTE = 1.3  # on a Cortex-M4


@dataclass(frozen=True)
class Shape:
    """What a band's parameters depend on.

    Args:
        rows_in: rows of each operand given, by operand.
        pad: rows of padding above them.
        rows_out: rows computed.
    """

    rows_in: tuple[tuple[int, int], ...]
    pad: int
    rows_out: int


@dataclass(frozen=True)
class Move:
    """Bytes that move towards the start of a window, before a band is written behind them."""

    to: int
    source: int
    bytes: int


@dataclass(frozen=True)
class Band:
    """One kernel call on some rows.

    Args:
        step: which layer, counted in the stream.
        shape: which parameters.
        operands: where the first row of each operand lies, in bytes from the value's start.
        output: where the first row computed goes, in bytes from the value's start.
        first: number of that row in the image.
        move: in the output's window, before the call.
    """

    step: int
    shape: Shape
    operands: tuple[tuple[int, int], ...]
    output: int
    first: int
    move: Move | None


@dataclass(frozen=True, eq=False)
class Stream:
    """Consecutive steps that run by rows. To the memory planner they are a single call.

    Args:
        steps: the layers.
        bands: the calls, in order.
        windows: byte position of each inner value's window in the scratch of the stream.
        kernel_scratch: byte position of the kernels' own scratch there.
        scratch_bytes: bytes of both.
        leads: for each image from outside, how far above the output it must start, where they
            share bytes (see `Overlap`).
    """

    steps: tuple[Step, ...]
    bands: tuple[Band, ...]
    windows: Mapping[str, int]
    kernel_scratch: int
    scratch_bytes: int
    leads: Mapping[str, int]

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Values from outside, constants not among them."""
        inside = {step.node.outputs[0] for step in self.steps}
        used = {step.node.inputs[i]: None for step in self.steps for i in row_windows(step)}
        return tuple(n for n in used if n is not None and n not in inside)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The value of the last step; nobody else needs the others."""
        return self.steps[-1].node.outputs

    @property
    def replaced(self) -> str | None:
        """No input is replaced in exactly its place; `leads` say how far they may overlap."""
        return None

    @property
    def moved_bytes(self) -> int:
        """Bytes copied within windows in one inference."""
        return sum(band.move.bytes for band in self.bands if band.move is not None)

    @cached_property
    def cost(self) -> float:
        """Estimated cycles more than the steps take on whole images."""
        overhead = sum(
            count * self.steps[step].kernel.overhead(banded(self.steps[step].site, shape))
            for (step, shape), count in Counter((b.step, b.shape) for b in self.bands).items()
        )
        once = sum(step.kernel.overhead(step.site) for step in self.steps)
        return overhead - once + _CYCLES_PER_MOVED_BYTE * self.moved_bytes

    def row_bytes(self, step: int) -> int:
        """Bytes of a row of a step's output."""
        output = self.steps[step].site.output
        return output.bytes // output.shape[1]

    def params(self, step: int, shape: Shape) -> Mapping[str, Param]:
        """The kernel's parameters for the bands of this shape."""
        return self.steps[step].kernel.params(banded(self.steps[step].site, shape))


Call = Step | Stream  # what the planner places memory for


def banded(site: Site, shape: Shape) -> Site:
    """The site of a band: images of so many rows, with so much padding above them."""

    def rows(type: TensorType, count: int) -> TensorType:
        return replace(type, shape=(type.shape[0], count, *type.shape[2:]))

    given = dict(shape.rows_in)
    inputs = tuple(
        rows(type, given[i]) if type is not None and i in given else type
        for i, type in enumerate(site.inputs)
    )
    outputs = (rows(site.output, shape.rows_out),)
    return replace(site, inputs=inputs, outputs=outputs, pad_top=shape.pad)


def row_windows(step: Step) -> Mapping[int, RowWindow]:
    """Which rows of each operand make a row of the output (see `Op.rows`)."""
    op = step.node.op
    assert isinstance(op, Op)
    return op.rows(*step.site.inputs)


@lru_cache(maxsize=512)
def by_rows(step: Step) -> Step | None:
    """The step with a kernel that can compute it by rows, or None.

    It is another kernel than for whole images where that one wants equal shapes, say.
    """
    site, output = step.site, step.site.outputs[0]
    if step.kernel.alias or len(site.outputs) != 1 or output.rank != 4 or output.shape[0] != 1:
        return None
    windows = row_windows(step)
    images = {i for i, type in enumerate(site.inputs) if type and site.constants[i] is None}
    if not windows or set(windows) != images or any(site.input(i).rank != 4 for i in images):
        return None
    rows_in = ((i, min(w.extent, site.input(i).shape[1])) for i, w in windows.items())
    band = banded(site, Shape(tuple(rows_in), 0, 1))
    assert not isinstance(site.op.kernels, Unsupported)
    for kernel in (step.kernel, *site.op.kernels):
        if kernel.guard(band) is None:
            return step if kernel is step.kernel else replace(step, kernel=kernel)
    return None


def stream(graph: Graph, steps: Sequence[Step], rows: int) -> Stream | None:
    """Run consecutive steps by rows.

    Args:
        graph: the graph.
        steps: steps whose values but the last one nobody else reads.
        rows: how many rows of a layer's output are computed at a time.

    Returns:
        The stream, or None if a step cannot run by rows (see `by_rows`).
    """
    able = [by_rows(step) for step in steps]
    return None if None in able else _Scheduler(graph, [s for s in able if s], rows).run()


class _Image:
    """A value that the stream reads or writes: how much of it is there, where, and who needs it."""

    def __init__(self, type: TensorType, whole: bool) -> None:
        self.height = type.shape[1]
        self.row_bytes = type.bytes // type.shape[1]
        self.whole = whole  # it lies outside the stream
        self.produced = 0
        self.capacity = 0  # rows of its window
        self.start = 0  # the row at the window's start
        self.readers: list[tuple[_Layer, RowWindow]] = []

    def needed_from(self) -> int:
        """The first row that is still to be read."""
        rows = [reader.needs(window, self)[0] for reader, window in self.readers if reader.left]
        return min(rows, default=self.height)


class _Layer:
    """A step, and how far it has come."""

    def __init__(self, step: Step, rows: int, operands: dict[int, _Image], output: _Image) -> None:
        self.step = step
        self.rows = rows
        self.windows = row_windows(step)
        self.operands = operands
        self.output = output
        for i, window in self.windows.items():
            operands[i].readers.append((self, window))

    @property
    def left(self) -> int:
        """Rows that remain to be computed."""
        return self.output.height - self.output.produced

    @property
    def last(self) -> int:
        """One past the last row of the next band."""
        return self.output.produced + min(self.rows, self.left)

    def needs(self, window: RowWindow, image: _Image) -> tuple[int, int]:
        """Rows of an operand that the next band needs."""
        return window.needed(self.output.produced, self.last, image.height)

    def ready(self) -> bool:
        """Whether the next band can be computed."""
        return bool(self.left) and all(
            self.operands[i].produced >= self.needs(window, self.operands[i])[1]
            for i, window in self.windows.items()
        )


class _Scheduler:
    def __init__(self, graph: Graph, steps: Sequence[Step], rows: int) -> None:
        self.steps = tuple(steps)
        self.images: dict[str, _Image] = {}
        self.layers: list[_Layer] = []
        inner = {step.node.outputs[0] for step in steps[:-1]}
        for step in steps:
            operands = {}
            for i in row_windows(step):
                name = step.node.inputs[i]
                assert name is not None
                if name not in self.images:
                    self.images[name] = _Image(graph.type(name), whole=True)
                    self.images[name].produced = self.images[name].height
                operands[i] = self.images[name]
            (name,) = step.node.outputs
            self.images[name] = output = _Image(graph.type(name), whole=name not in inner)
            self.layers.append(_Layer(step, rows, operands, output))

    def run(self) -> Stream | None:
        order = self._order()
        if order is None:
            return None
        windows, at = {}, 0
        for name, image in self.images.items():
            if not image.whole:
                windows[name] = at
                size = image.capacity * image.row_bytes
                at += -(-size // _ALIGNMENT) * _ALIGNMENT
        bands = self._bands(order)
        shapes = {(band.step, band.shape) for band in bands}
        scratch = 0
        for number, shape in shapes:
            site = banded(self.steps[number].site, shape)
            scratch = max(scratch, self.steps[number].kernel.scratch_bytes(site))
        leads = self._leads(bands)
        return Stream(self.steps, bands, windows, at, at + scratch, leads)

    def _order(self) -> list[int] | None:
        """The layer of each band; windows grow as large as they must be."""
        order = []
        while any(layer.left for layer in self.layers):
            number = max(i for i, layer in enumerate(self.layers) if layer.ready())
            layer = self.layers[number]
            for i, window in layer.windows.items():
                first, last = layer.needs(window, layer.operands[i])
                if first >= last:
                    return None  # nothing but padding
            image = layer.output
            kept = min(image.needed_from(), image.produced)
            image.capacity = max(image.capacity, layer.last - kept)
            image.produced = layer.last
            order.append(number)
        return order

    def _bands(self, order: Sequence[int]) -> tuple[Band, ...]:
        for layer in self.layers:
            layer.output.produced = 0
        bands = []
        for number in order:
            layer = self.layers[number]
            image = layer.output
            needs = {i: layer.needs(w, layer.operands[i]) for i, w in layer.windows.items()}
            window = next(iter(layer.windows.values()))  # if there are more, they have no padding
            shape = Shape(
                tuple((i, last - first) for i, (first, last) in needs.items()),
                max(0, window.pad - image.produced * window.stride),
                layer.last - image.produced,
            )
            operands = tuple(
                (i, (first - layer.operands[i].start) * layer.operands[i].row_bytes)
                for i, (first, _) in needs.items()
            )
            move = self._make_room(layer)
            at = (image.produced - image.start) * image.row_bytes
            bands.append(Band(number, shape, operands, at, image.produced, move))
            image.produced = layer.last
        return tuple(bands)

    @staticmethod
    def _make_room(layer: _Layer) -> Move | None:
        """Drop rows that nobody needs any more, if the next band has no room behind them."""
        image = layer.output
        if image.whole or layer.last - image.start <= image.capacity:
            return None
        kept = min(image.needed_from(), image.produced)
        dropped, rows = kept - image.start, image.produced - kept
        image.start = kept
        if not rows:
            return None
        return Move(0, dropped * image.row_bytes, rows * image.row_bytes)

    def _leads(self, bands: Sequence[Band]) -> dict[str, int]:
        """By how much the output must start below each outer image so as never to overtake it."""
        final = len(self.layers) - 1
        outer = [name for name, image in self.images.items() if image.whole][:-1]
        leads = dict.fromkeys(outer, 0)
        needed = {name: self.images[name].height * self.images[name].row_bytes for name in outer}
        for band in reversed(bands):
            step = self.steps[band.step]
            for i, offset in band.operands:
                name = step.node.inputs[i]
                if name in needed:
                    needed[name] = min(needed[name], offset)
            if band.step == final:
                written = band.output + band.shape.rows_out * self.layers[final].output.row_bytes
                for name in outer:
                    leads[name] = max(leads[name], written - needed[name])
        return leads
