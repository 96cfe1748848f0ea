"""A graph as compiled C on this machine: many samples, several threads, every tensor if asked."""

from __future__ import annotations

import ctypes
import itertools
import os
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.backends.c.arena import Arena, plan_arena
from smidgen.backends.c.emit import Source, emit
from smidgen.backends.c.project import write_sources
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.errors import SmidgenError
from smidgen.interpreter import check_inputs
from smidgen.ir import Graph, numpy_dtype
from smidgen.targets.toolchain import host_compile_shared

Array = np.ndarray[Any, Any]

# For thousands of samples: a copy of each kernel for each layer, so that sizes are constants.
FAST = (
    "-O2",
    "-ftree-vectorize",
    "-march=native",
    "-DSM_KERNEL=static inline __attribute__((always_inline))",
)
# For a few samples: the compiler should not take longer than they do.
QUICK = ("-O1",)

# Runs n samples one after the other; copies inputs into the arena and outputs out of it.
_DRIVER = """
#include "{name}.h"
#include <string.h>
#ifdef SM_TRACE
#include <stddef.h>
static uint8_t **trace_at; /* for each step, where what it computes goes; or NULL */
static size_t traced[{steps}];
void sm_trace(int step, const void *data, size_t bytes);
void sm_trace(int step, const void *data, size_t bytes) {{
  if (trace_at != NULL) {{
    memcpy(trace_at[step] + traced[step], data, bytes);
    traced[step] += bytes; /* a step may compute its tensor some rows at a time */
  }}
}}
void smidgen_trace_to(uint8_t **to);
void smidgen_trace_to(uint8_t **to) {{ trace_at = to; }}
#endif
int smidgen_run(uint8_t *arena, uint8_t *state, int stream, const uint8_t *const *in,
                uint8_t *const *out, size_t n);
int smidgen_run(uint8_t *arena, uint8_t *state, int stream, const uint8_t *const *in,
                uint8_t *const *out, size_t n) {{
  (void)state, (void)stream;
  for (size_t i = 0; i < n; ++i) {{
{copies_in}
{reset}{untrace}    if ({name}_invoke({given}) != 0) return -1;
{copies_out}
  }}
  return 0;
}}
"""


class HostModel:
    """A graph compiled to a shared library of this machine.

    Args:
        graph: a graph whose every node has a C kernel.
        flags: compiler flags after ours: FAST, QUICK or your own.
        features: choose kernels as for a core that has these, such as {"dsp"}; their
        features: Iterable[str] = ("host",),
        arena: Arena | None = None,
        trace: also keep every tensor of the last sample that ran (see `run_traced`).

    Raises:
        UnsupportedModelError: if a node has no kernel.
        ToolMissingError: if there is no C compiler.

    Example:
        >>> HostModel(int8).run(np.zeros((1000, 8, 8, 1), np.int8))[0].shape
        (1000, 10)
    """

    def __init__(
        self,
        graph: Graph,
        *,
        flags: Sequence[str] = FAST,
        trace: bool = False,
        features: Iterable[str] = ("host",),
        arena: Arena | None = None,
    ) -> None:
        self.graph = graph
        self.arena = arena or plan_arena(graph, select_kernels(graph, features=features))
        self.source: Source = emit(graph, self.arena, "host")
        # Once loaded the library needs no file.
        with tempfile.TemporaryDirectory(prefix="smidgen-") as temporary:
            folder = Path(temporary)
            write_sources(self.source, folder)
            driver = folder / "driver.c"
            driver.write_text(self._driver(), encoding="utf-8")
            library = host_compile_shared(
                [folder / f"{self.source.name}.c", driver],
                folder / "model.so",
                [*flags, *(["-DSM_TRACE"] if trace else [])],
            )
            self._library = ctypes.CDLL(str(library))
        self._trace = trace

    def _driver(self) -> str:
        def copies(names: tuple[str, ...], row: str) -> str:
            return "\n".join(
                row.format(i=i, at=self.arena.offset(n), size=self.graph.type(n).bytes)
                for i, n in enumerate(names)
            )

        stateful = bool(self.graph.states)
        reset = (
            f"    if (stream == 0 || (stream == 1 && i == 0)) {self.source.name}_reset(state);\n"
        )
        return _DRIVER.format(
            name=self.source.name,
            steps=max(1, len(self.arena.steps)),
            untrace="#ifdef SM_TRACE\n    memset(traced, 0, sizeof traced);\n#endif\n",
            reset=reset if stateful else "",
            given="arena, state" if stateful else "arena",
            copies_in=copies(
                self.graph.inputs, "    memcpy(arena + {at}, in[{i}] + i * {size}u, {size}u);"
            ),
            copies_out=copies(
                self.graph.outputs, "    memcpy(out[{i}] + i * {size}u, arena + {at}, {size}u);"
            ),
        )

    def run(
        self,
        inputs: Array | Sequence[Array],
        *,
        stream: bool = False,
        threads: int | None = None,
    ) -> list[Array]:
        """Run n samples.

        Args:
            inputs: one array (n, ...) or one for each input, in the inputs' dtypes.
            stream: whether they are consecutive steps; else states are reset before each sample.
            threads: how many run side by side; by default one for each processor.

        Returns:
            One array (n, ...) for each output.
        """
        arrays = [np.ascontiguousarray(a) for a in check_inputs(self.graph, inputs)]
        count = len(arrays[0]) if arrays else 1
        outputs = [
            np.empty((count * t.shape[0], *t.shape[1:]), numpy_dtype(t.dtype))
            for t in self.graph.output_types
        ]
        alone = self._trace or (stream and bool(self.graph.states))
        workers = 1 if alone else max(1, min(threads or os.cpu_count() or 1, count))
        edges = [count * i // workers for i in range(workers + 1)]
        if workers == 1:
            self._run_rows(arrays, outputs, 0, count, int(stream))
        else:
            with ThreadPoolExecutor(workers) as pool:
                jobs = [
                    pool.submit(self._run_rows, arrays, outputs, a, b, int(stream))
                    for a, b in itertools.pairwise(edges)
                ]
                for job in jobs:
                    job.result()
        return outputs

    def run_from(self, state: bytes, inputs: Array | Sequence[Array]) -> tuple[list[Array], bytes]:
        """Run consecutive steps from a given state.

        Args:
            state: the block of states, as an earlier run left it.
            inputs: one array (n, ...) or one for each input.

        Returns:
            One array (n, ...) for each output, and the block in the end.
        """
        arrays = [np.ascontiguousarray(a) for a in check_inputs(self.graph, inputs)]
        count = len(arrays[0]) if arrays else 1
        outputs = [
            np.empty((count * t.shape[0], *t.shape[1:]), numpy_dtype(t.dtype))
            for t in self.graph.output_types
        ]
        return outputs, self._run_rows(arrays, outputs, 0, count, 2, state)

    def _run_rows(
        self,
        inputs: list[Array],
        outputs: list[Array],
        first: int,
        last: int,
        stream: int,
        block: bytes = b"",
    ) -> bytes:
        """Run some of the samples, and return the block of states.

        Args:
            inputs: all samples.
            outputs: of all samples, to be filled in.
            first: number of the first sample that runs.
            last: one past the number of the last.
            stream: 0 resets states before every sample, 1 before the first, 2 never.
            block: the block of states at first.
        """

        def pointers(arrays: list[Array], names: tuple[str, ...]) -> Any:
            sizes = [self.graph.type(n).bytes for n in names]
            addresses = [a.ctypes.data + first * s for a, s in zip(arrays, sizes, strict=True)]
            return (ctypes.c_void_p * max(1, len(addresses)))(*addresses)

        memory = [np.empty(n + 16, np.uint8) for n in (self.arena.bytes, self.arena.states.bytes)]
        start, state = (ctypes.c_void_p(-(-m.ctypes.data // 16) * 16) for m in memory)
        at = -memory[1].ctypes.data % 16
        states = memory[1][at : at + self.arena.states.bytes]
        states[: len(block)] = np.frombuffer(block, np.uint8)
        status = self._library.smidgen_run(
            start,
            state,
            ctypes.c_int(stream),
            pointers(inputs, self.graph.inputs),
            pointers(outputs, self.graph.outputs),
            ctypes.c_size_t(last - first),
        )
        if status != 0:
            raise SmidgenError(f"the compiled model returned {status}")
        return states.tobytes()

    def run_traced(
        self, inputs: Array | Sequence[Array], *, stream: bool = False
    ) -> dict[str, Array]:
        """Return every tensor that the last sample computes, by name, as the real arena held it.

        Args:
            inputs: one array (n, ...) or one for each input.
            stream: whether they are consecutive steps, which run before the last one.
        """
        if not self._trace:
            raise ValueError("the model was compiled without trace=True")
        tensors = {}
        for step in self.arena.steps:
            type = self.graph.type(step.outputs[0])
            tensors[step.outputs[0]] = np.empty(type.shape, numpy_dtype(type.dtype))
        arrays = check_inputs(self.graph, inputs)
        if not stream:
            arrays = [array[-1:] for array in arrays]
        to = (ctypes.c_void_p * len(tensors))(*(t.ctypes.data for t in tensors.values()))
        self._library.smidgen_trace_to(to)
        self.run(arrays, stream=stream)
        self._library.smidgen_trace_to(None)
        return tensors
