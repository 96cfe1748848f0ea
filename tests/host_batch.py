"""Many graphs compiled at once: starting the compiler takes longer than what it has to do."""

from __future__ import annotations

import ctypes
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.backends.c.arena import Arena, plan_arena
from smidgen.backends.c.emit import Source, emit
from smidgen.backends.c.project import write_sources
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.interpreter import check_inputs
from smidgen.ir import Graph, numpy_dtype
from smidgen.targets.toolchain import host_compile_shared

Array = np.ndarray[Any, Any]

# What generated code must compile under, and what must not happen while it runs.
FLAGS = (
    *("-O1", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion", "-pedantic"),
    *("-fsanitize=undefined", "-fno-sanitize-recover=undefined"),
)
GUARD = 64  # bytes around the arena that nobody may touch
UNTOUCHED = 0xA5


def with_own_names(source: Source) -> str:
    """The C of a model, with constants of names that no other model's C has."""
    text = source.source
    own = set(re.findall(r"^static const (?:SM_CONST )?\w+ (\w+)", text, re.MULTILINE))
    return re.sub(
        r"\b[A-Za-z_]\w*",
        lambda word: f"{source.name}_{word[0]}" if word[0] in own else word[0],
        text,
    )


def _guarded(size: int) -> tuple[tuple[Array, Array], Array]:
    """What lies before and behind an aligned block, and the block."""
    memory = np.full(size + 2 * GUARD + 16, UNTOUCHED, np.uint8)
    first = -(memory.ctypes.data + GUARD) % 16 + GUARD
    return (memory[:first], memory[first + size :]), memory[first : first + size]


class HostBatch:
    """Graphs as compiled C on this machine.

    Args:
        graphs: graphs whose every node has a C kernel.
        flags: compiler flags.
        features: choose kernels as for a core that has these, such as "dsp".
        optimize: "speed", "balanced" or "flash".
    """

    def __init__(
        self,
        graphs: Sequence[Graph],
        *,
        flags: Sequence[str] = FLAGS,
        features: Sequence[str] = (),
        optimize: str = "balanced",
    ) -> None:
        self.features = features
        self.optimize = optimize
        self.graphs = [graph.renamed(f"graph{i}") for i, graph in enumerate(graphs)]
        self.arenas: list[Arena] = []
        with tempfile.TemporaryDirectory(prefix="smidgen-") as name:
            folder = Path(name)
            texts = [self._source(graph, folder) for graph in self.graphs]
            batch = folder / "batch.c"
            batch.write_text("\n".join(texts), encoding="utf-8")
            library = host_compile_shared([batch], folder / "batch.so", flags)
            self._library = ctypes.CDLL(str(library))  # stays loaded when its file is gone

    def _source(self, graph: Graph, folder: Path) -> str:
        """The C of one graph, with names that no other graph's C has."""
        steps = select_kernels(graph, features=self.features, optimize=self.optimize)
        self.arenas.append(plan_arena(graph, steps))
        source = emit(graph, self.arenas[-1], "test", self.optimize)
        write_sources(source, folder)
        return with_own_names(source)

    def run(
        self, index: int, inputs: Array | Sequence[Array], *, stream: bool = False
    ) -> list[Array]:
        """Run n samples through the graph number `index`, in an arena full of garbage at first.

        Args:
            index: which graph.
            inputs: one array (n, ...) or one for each graph input.
            stream: whether they are consecutive steps.

        Returns:
            One array (n, ...) for each output.
        """
        graph, arena = self.graphs[index], self.arenas[index]
        invoke = getattr(self._library, f"{graph.name}_invoke")
        guarded, block = _guarded(arena.bytes)
        guarded_states, states = _guarded(arena.states.bytes)
        given = [ctypes.c_void_p(block.ctypes.data)]
        if graph.states:
            given.append(ctypes.c_void_p(states.ctypes.data))
        columns: list[list[Array]] = [[] for _ in graph.outputs]
        arrays = check_inputs(graph, inputs)
        for row in range(len(arrays[0])):
            for name, array in zip(graph.inputs, arrays, strict=True):
                raw = np.frombuffer(array[row].tobytes(), np.uint8)
                block[arena.offset(name) : arena.offset(name) + raw.size] = raw
            if graph.states and not (stream and row):
                states[:] = UNTOUCHED
                getattr(self._library, f"{graph.name}_reset")(given[1])
            assert invoke(*given) == 0
            for name, column in zip(graph.outputs, columns, strict=True):
                type = graph.type(name)
                raw = block[arena.offset(name) : arena.offset(name) + type.bytes].copy()
                column.append(raw.view(numpy_dtype(type.dtype)).reshape(type.shape))
        for outside in (*guarded, *guarded_states):
            assert (outside == UNTOUCHED).all(), f"{graph.name} writes outside its memory"
        return [np.concatenate(column) for column in columns]
