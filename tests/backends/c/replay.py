"""Generated C replayed step by step in a poisoned arena: nothing may depend on a dead byte.

The program is built with SM_TRACE and the address sanitizer, in an arena of exactly its size.
Between two steps a driver looks at the arena:

- a byte outside the last step's outputs and scratch that has changed is an error;
- every byte that nothing will read is filled with garbage, other garbage in every replay;
- whatever the next step may not touch is poisoned, as finely as the sanitizer can.

What lives is worked out from the addresses alone, backwards from the outputs: a step needs what
it reads, and what is needed later but not written by it. Where a plan puts two live tensors over
each other, or a kernel overwrites what it has yet to read, the tensors that come out are wrong, and
the caller compares every one of them, and the outputs once more at the end. Values alone can hide a
fault (after RELU most bytes are equal), so a step can also be replayed on operands of its own,
drawn at random.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.backends.c.arena import Arena
from smidgen.backends.c.emit import emit
from smidgen.backends.c.project import write_sources
from smidgen.backends.c.select_kernels import Step
from smidgen.backends.c.stream import Band, Stream, banded
from smidgen.interpreter import interpret, run_node
from smidgen.ir import Graph, numpy_dtype
from smidgen.ops import _draw
from smidgen.verify import difference
from tests.host_batch import with_own_names

Array = np.ndarray[Any, Any]

_KEEP, _OPEN, _WRITTEN = 1, 2, 4  # a byte's flags before a step, see the driver

_DRIVER = """
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
static uint8_t *arena, *before, *image, *flags;
static size_t size;
static int step_number, step_count;

/* Of each byte before the next step: its value, unless it is kept, and what the step may do. */
static void prepare(void) {
  if (fread(image, 1, size, stdin) != size || fread(flags, 1, size, stdin) != size) exit(4);
  for (size_t i = 0; i < size; ++i) {
    if (!(flags[i] & 1)) arena[i] = image[i];
  }
  memcpy(before, arena, size);
  for (size_t i = 0, end; i < size; i = end) {
    for (end = i + 1; end < size && (flags[end] & 2) == (flags[i] & 2); ++end) {
    }
    if (!(flags[i] & 2)) __asan_poison_memory_region(arena + i, end - i);
  }
}

void sm_trace(int step, const void *data, size_t bytes) {
  __asan_unpoison_memory_region(arena, size);
  for (size_t i = 0; i < size; ++i) {
    if (!(flags[i] & 4) && arena[i] != before[i]) {
      fprintf(stderr, "step %d wrote byte %zu of the arena\\n", step, i);
      exit(3);
    }
  }
  fwrite(data, 1, bytes, stdout);
  if (++step_number < step_count) prepare();
}

int main(int argc, char **argv) {
  int (*const invoke[])(void *) = {INVOKE};
  if (argc != 5) return 5;
  size = (size_t)atol(argv[2]);
  step_count = atoi(argv[3]);
  arena = malloc(size);
  before = malloc(size), image = malloc(size), flags = malloc(size);
  for (int rows = atoi(argv[4]); rows > 0; --rows) {
    step_number = 0;
    prepare();
    if (invoke[atoi(argv[1])](arena) != 0) return 6;
    fwrite(arena, 1, size, stdout);
  }
  free(arena), free(before), free(image), free(flags);
  return 0;
}
"""


class ReplayError(AssertionError):
    """A step touched what it must not touch, or computed something else than it should."""


@dataclass(frozen=True)
class Planned:
    """A graph with the arena that is to be replayed."""

    graph: Graph
    arena: Arena
    optimize: str = "balanced"


class Replay:
    """Planned graphs compiled together into one sanitized program.

    Args:
        planned: the graphs and their arenas.
    """

    def __init__(self, planned: Sequence[Planned]) -> None:
        self.planned = [
            replace(p, graph=p.graph.renamed(f"graph{i}")) for i, p in enumerate(planned)
        ]
        self._folder = tempfile.mkdtemp(prefix="smidgen-replay-")
        weakref.finalize(self, shutil.rmtree, self._folder)
        folder = Path(self._folder)
        texts = []
        for p in self.planned:
            source = emit(p.graph, p.arena, "test", p.optimize)
            write_sources(source, folder)
            texts.append(with_own_names(source))
        names = ", ".join(f"{p.graph.name}_invoke" for p in self.planned)
        text = "\n".join([*texts, _DRIVER.replace("INVOKE", names)])
        (folder / "replay.c").write_text(text, encoding="utf-8")
        self._program = folder / "replay"
        sanitize = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
        options = ("-std=c99", "-O1", "-DSM_TRACE", "-I", self._folder)
        command = ["gcc", *options, *sanitize, str(folder / "replay.c"), "-o", str(self._program)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def check(self, index: int, seed: int, rows: int = 2) -> None:
        """Replay random samples whole, then every step on operands of its own.

        Args:
            index: which graph.
            seed: of all that is random.
            rows: how many samples, and how many times each step.

        Raises:
            ReplayError: saying which step went wrong, and how.
        """
        graph, arena = self.planned[index].graph, self.planned[index].arena
        rng = np.random.default_rng(seed)
        events = _events(graph, arena)
        runs = [_whole(graph, arena, events, rng) for _ in range(rows)]
        if not any(isinstance(call, Stream) for call in arena.calls):
            runs += [_each(graph, arena, events, rng) for _ in range(rows)]
        sizes = (index, arena.bytes, len(events), len(runs))
        done = subprocess.run(
            [str(self._program), *map(str, sizes)],
            input=b"".join(run.record() for run in runs),
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise ReplayError(done.stderr.decode(errors="replace"))
        at = 0
        for run in runs:
            for event, want in zip(events, run.wants, strict=True):
                got = np.frombuffer(done.stdout, want.dtype, want.size, at).reshape(want.shape)
                size, within = difference(want, got)
                if not within:
                    raise ReplayError(f"{event.step.node.label} is off by {size} {run.what}")
                at += got.nbytes
            end = np.frombuffer(done.stdout, np.uint8, arena.bytes, at)
            at += end.nbytes
            for name, want in run.outputs.items():
                size, within = difference(want, _get(end, graph, arena, name))
                if not within:
                    raise ReplayError(f"output {name} is off by {size} at the end {run.what}")
        assert at == len(done.stdout)


@dataclass(frozen=True)
class _Run:
    """One replay: before each step the arena's bytes and their flags, and what it must compute.

    `outputs` is what the graph's outputs must be at the end, if the steps belong together.
    """

    what: str
    images: list[Array]
    flags: list[Array]
    wants: list[Array]
    outputs: dict[str, Array] = field(default_factory=dict)

    def record(self) -> bytes:
        """What the driver reads."""
        pairs = zip(self.images, self.flags, strict=True)
        return b"".join(image.tobytes() + flags.tobytes() for image, flags in pairs)


@dataclass(frozen=True)
class _Event:
    """What lies between two reports of the program: a move, maybe, and one kernel's call.

    Args:
        step: the layer.
        move: the slice that moves, and where to; empty if none does.
        reads, writes: slices of the arena that the kernel reads and may write.
        rows: which rows of its tensor the call computes.
    """

    step: Step
    move: tuple[slice, slice]
    reads: tuple[slice, ...]
    writes: tuple[slice, ...]
    rows: slice


def _events(graph: Graph, arena: Arena) -> list[_Event]:
    events = []
    for i, call in enumerate(arena.calls):
        scratch = arena.scratch_offset(i) if call.scratch_bytes else 0
        if isinstance(call, Stream):
            events += [_band_event(arena, call, band, scratch) for band in call.bands]
            continue
        reads = [_bytes(graph, arena, n) for n in call.inputs if n in arena.buffer_of]
        writes = [_bytes(graph, arena, n) for n in call.outputs]
        writes.append(_slice(scratch, call.scratch_bytes))
        events.append(_Event(call, (_NONE, _NONE), tuple(reads), tuple(writes), slice(None)))
    return events


def _band_event(arena: Arena, stream: Stream, band: Band, scratch: int) -> _Event:
    step = stream.steps[band.step]

    def at(name: str | None) -> int:
        assert name is not None
        inside = name in stream.windows
        return scratch + stream.windows[name] if inside else arena.offset(name)

    site = banded(step.site, band.shape)
    output = at(step.outputs[0])
    move = (_NONE, _NONE)
    if band.move is not None:
        size = band.move.bytes
        move = (_slice(output + band.move.source, size), _slice(output + band.move.to, size))
    reads = [_slice(at(step.node.inputs[i]) + o, site.input(i).bytes) for i, o in band.operands]
    writes = [
        _slice(output + band.output, site.output.bytes),
        _slice(scratch + stream.kernel_scratch, step.kernel.scratch_bytes(site)),
    ]
    rows = slice(band.first, band.first + band.shape.rows_out)
    return _Event(step, move, tuple(reads), tuple(writes), rows)


def _slice(start: int, size: int) -> slice:
    return slice(start, start + size)


_NONE = slice(0, 0)


def _whole(graph: Graph, arena: Arena, events: list[_Event], rng: np.random.Generator) -> _Run:
    inputs = [_draw.values(rng, type) for type in graph.input_types]
    want: dict[str, Array] = {}
    interpret(graph, inputs, observe=want.__setitem__)
    live = _live(graph, arena, events)
    live[0] = np.zeros(arena.bytes, bool)  # the inputs are put there first of all
    flags = [_flags(event, keep) for event, keep in zip(events, live, strict=True)]
    images = [_garbage(rng, arena.bytes) for _ in live]
    for name, array in zip(graph.inputs, inputs, strict=True):
        _put(images[0], arena, name, array)
    wants = []
    for event in events:
        tensor = want[event.step.outputs[0]]
        wants.append(tensor if event.rows == slice(None) else tensor[:, event.rows])
    outputs = {name: want[name] for name in graph.outputs}
    return _Run("in its place in the network", images, flags, wants, outputs)


def _each(graph: Graph, arena: Arena, events: list[_Event], rng: np.random.Generator) -> _Run:
    nothing = np.zeros(arena.bytes, bool)
    images, wants = [], []
    for step in arena.steps:
        image = _garbage(rng, arena.bytes)
        names = [n for n in step.inputs if n in arena.buffer_of]
        for name in {arena.offset(n): n for n in names}.values():  # some are the same bytes
            _put(image, arena, name, _draw.values(rng, graph.type(name)))
        operands = {n: _get(image, graph, arena, n) for n in names}
        images.append(image)
        wants.append(run_node(graph, step.node, operands)[0])
    flags = [_flags(event, nothing) for event in events]
    return _Run("on random operands", images, flags, wants)


def _live(graph: Graph, arena: Arena, events: list[_Event]) -> list[Array]:
    """Which bytes are needed from each event on (bool, arena's size)."""
    needed = np.zeros(arena.bytes, bool)
    for name in graph.outputs:
        needed[_bytes(graph, arena, name)] = True
    live = []
    for event in reversed(events):
        needed = needed & ~_mask(needed.size, event.writes) | _mask(needed.size, event.reads)
        source, to = event.move
        moved = needed[to].copy()
        needed[to] = False
        needed[source] |= moved
        live.append(needed)
    return live[::-1]


def _flags(event: _Event, keep: Array) -> Array:
    source, to = event.move
    written = _mask(keep.size, (*event.writes, to))
    touched = written | _mask(keep.size, (*event.reads, source))
    return (_KEEP * keep + _OPEN * touched + _WRITTEN * written).astype(np.uint8)


def _mask(size: int, slices: Sequence[slice]) -> Array:
    mask = np.zeros(size, bool)
    for part in slices:
        mask[part] = True
    return mask


def _bytes(graph: Graph, arena: Arena, name: str) -> slice:
    return slice(arena.offset(name), arena.offset(name) + graph.type(name).bytes)


def _put(image: Array, arena: Arena, name: str, array: Array) -> None:
    raw = np.frombuffer(array.tobytes(), np.uint8)
    image[arena.offset(name) :][: raw.size] = raw


def _get(image: Array, graph: Graph, arena: Arena, name: str) -> Array:
    type = graph.type(name)
    raw = image[_bytes(graph, arena, name)].tobytes()
    return np.frombuffer(raw, numpy_dtype(type.dtype)).reshape(type.shape)


def _garbage(rng: np.random.Generator, size: int) -> Array:
    return rng.integers(0, 256, size, dtype=np.uint8)
