"""Generated C replayed step by step in a poisoned arena: nothing may depend on a dead byte.

The program is built with SM_TRACE and the address sanitizer, in an arena of exactly its size.
Between two steps a driver looks at the arena:

- a byte outside the last step's outputs and scratch that has changed is an error;
- every byte that nothing will read is filled with garbage, other garbage in every replay;
- whatever the next step may not touch is poisoned, as finely as the sanitizer can.

What lives is worked out from the addresses alone, backwards from the outputs: a step needs what
it reads, and what is needed later but not written by it. Where a plan puts two live tensors over
each other, or a kernel overwrites what it has yet to read, the tensors that come out are wrong, and
the caller compares every one of them. Values alone can hide a fault (after RELU most bytes are
equal), so a step can also be replayed on operands of its own, drawn at random.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.backends.c.arena import Arena
from smidgen.backends.c.emit import emit
from smidgen.backends.c.project import write_sources
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
        runs = [_whole(graph, arena, rng) for _ in range(rows)]
        runs += [_each(graph, arena, rng) for _ in range(rows)]
        sizes = (index, arena.bytes, len(arena.calls), len(runs))
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
            for step, want in zip(arena.calls, run.wants, strict=True):
                got = np.frombuffer(done.stdout, want.dtype, want.size, at).reshape(want.shape)
                size, within = difference(want, got)
                if not within:
                    raise ReplayError(f"{step.node.label} is off by {size} {run.what}")
                at += got.nbytes
        assert at == len(done.stdout)


@dataclass(frozen=True)
class _Run:
    """One replay: before each step the arena's bytes and their flags, and what it must compute."""

    what: str
    images: list[Array]
    flags: list[Array]
    wants: list[Array]

    def record(self) -> bytes:
        """What the driver reads."""
        pairs = zip(self.images, self.flags, strict=True)
        return b"".join(image.tobytes() + flags.tobytes() for image, flags in pairs)


def _whole(graph: Graph, arena: Arena, rng: np.random.Generator) -> _Run:
    inputs = [_draw.values(rng, type) for type in graph.input_types]
    want: dict[str, Array] = {}
    interpret(graph, inputs, observe=want.__setitem__)
    live = _live(graph, arena)
    live[0] = np.zeros(arena.bytes, bool)  # the inputs are put there first of all
    flags = [_flags(graph, arena, i, live[i]) for i in range(len(live))]
    images = [_garbage(rng, arena.bytes) for _ in live]
    for name, array in zip(graph.inputs, inputs, strict=True):
        _put(images[0], arena, name, array)
    wants = [want[step.node.outputs[0]] for step in arena.calls]
    return _Run("in its place in the network", images, flags, wants)


def _each(graph: Graph, arena: Arena, rng: np.random.Generator) -> _Run:
    nothing = np.zeros(arena.bytes, bool)
    flags = [_flags(graph, arena, i, nothing) for i in range(len(arena.calls))]
    images, wants = [], []
    for step in arena.calls:
        image = _garbage(rng, arena.bytes)
        names = [n for n in step.node.inputs if n is not None and n in arena.buffer_of]
        for name in {arena.offset(n): n for n in names}.values():  # some are the same bytes
            _put(image, arena, name, _draw.values(rng, graph.type(name)))
        operands = {n: _get(image, graph, arena, n) for n in names}
        images.append(image)
        wants.append(run_node(graph, step.node, operands)[0])
    return _Run("on random operands", images, flags, wants)


def _live(graph: Graph, arena: Arena) -> list[Array]:
    """Which bytes are needed from each step on (bool, arena's size)."""
    needed = np.zeros(arena.bytes, bool)
    for name in graph.outputs:
        needed[_bytes(graph, arena, name)] = True
    live = []
    for step in reversed(range(len(arena.calls))):
        needed = needed & ~_written(graph, arena, step) | _read(graph, arena, step)
        live.append(needed)
    return live[::-1]


def _flags(graph: Graph, arena: Arena, step: int, keep: Array) -> Array:
    written = _written(graph, arena, step)
    touched = written | _read(graph, arena, step)
    return (_KEEP * keep + _OPEN * touched + _WRITTEN * written).astype(np.uint8)


def _read(graph: Graph, arena: Arena, step: int) -> Array:
    mask = np.zeros(arena.bytes, bool)
    for name in arena.calls[step].node.inputs:
        if name in arena.buffer_of:
            mask[_bytes(graph, arena, name)] = True
    return mask


def _written(graph: Graph, arena: Arena, step: int) -> Array:
    mask, call = np.zeros(arena.bytes, bool), arena.calls[step]
    for name in call.node.outputs:
        mask[_bytes(graph, arena, name)] = True
    scratch = call.kernel.scratch_bytes(call.site)
    if scratch:
        mask[arena.scratch_offset(step) :][:scratch] = True
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
