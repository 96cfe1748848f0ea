"""Generated C under valgrind: no byte is used that was never written, none outside the arena."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from smidgen import load
from smidgen.backends.c.arena import Arena, plan_arena
from smidgen.backends.c.emit import emit
from smidgen.backends.c.project import write_sources
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.interpreter import interpret
from smidgen.ir import Graph
from tests.examples import examples
from tests.host_batch import with_own_names
from tests.random_graphs import graphs

pytestmark = pytest.mark.toolchain

GRAPHS = 15

# Arenas come from malloc: a byte that a model did not write itself is undefined to valgrind,
# which complains when it decides a branch or is written to the output.
_MAIN = """
#include <stdio.h>
#include <stdlib.h>
static void run(int (*invoke)(void *), size_t bytes, const size_t *in, const size_t *out) {
  uint8_t *arena = malloc(bytes);
  for (; in[1]; in += 2) fread(arena + in[0], 1, in[1], stdin);
  if (invoke(arena) != 0) exit(1);
  for (; out[1]; out += 2) fwrite(arena + out[0], 1, out[1], stdout);
  free(arena);
}
int main(void) {
CALLS
  return 0;
}
"""


def program(planned: Sequence[tuple[Graph, Arena]], folder: Path) -> Path:
    """All graphs in one program: inputs from standard input, outputs to standard output."""
    texts, calls = [], []
    for i, (graph, arena) in enumerate(planned):
        source = emit(graph.renamed(f"graph{i}"), arena, "test")
        write_sources(source, folder)
        texts.append(with_own_names(source))
        places = [
            ", ".join(f"{arena.offset(n)}, {graph.type(n).bytes}" for n in names)
            for names in (graph.inputs, graph.outputs)
        ]
        calls.append(
            f"  run(graph{i}_invoke, {arena.bytes}, "
            + ", ".join(f"(const size_t[]){{{place}, 0, 0}}" for place in places)
            + ");"
        )
    text = "\n".join([*texts, _MAIN.replace("CALLS", "\n".join(calls))])
    (folder / "all.c").write_text(text, encoding="utf-8")
    command = ["gcc", "-std=c99", "-O1", "-g", "-I", str(folder), str(folder / "all.c")]
    subprocess.run([*command, "-o", str(folder / "all")], check=True, capture_output=True)
    return folder / "all"


def check(some: Sequence[Graph], features: Sequence[str], folder: Path) -> None:
    planned = [(g, plan_arena(g, select_kernels(g, features=features))) for g in some]
    inputs, wants = b"", b""
    for graph in some:
        drawn = [np.full(t.shape, 3, np.int8 if t.dtype == "int8" else np.float32)
                 for t in graph.input_types]  # fmt: skip
        inputs += b"".join(a.tobytes() for a in drawn)
        wants += b"".join(a.tobytes() for a in interpret(graph, drawn))
    command = ["valgrind", "-q", "--error-exitcode=9", str(program(planned, folder))]
    done = subprocess.run(command, input=inputs, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[:3000]
    assert done.stdout == wants


@pytest.mark.parametrize("features", [(), ("dsp",)], ids=["plain", "dsp"])
def test_random_graphs(features: tuple[str, ...], tmp_path: Path) -> None:
    check(examples(graphs(3, 12, "int8"), GRAPHS, "valgrind"), features, tmp_path)


@pytest.mark.e2e
@pytest.mark.parametrize("features", [(), ("dsp",)], ids=["plain", "dsp"])
def test_a_real_model(features: tuple[str, ...], shared: Path, tmp_path: Path) -> None:
    folder = shared / "models" / "mlperf_tiny"
    check([load(folder / "kws_ref_model_int8.tflite")], features, tmp_path)


def test_an_undefined_byte_is_caught(tmp_path: Path) -> None:
    """The arena is read where nothing was written: the test itself can fail."""
    graph = examples(graphs(3, 5, "int8"), 1, "valgrind")[0]
    planned = [(graph, plan_arena(graph, select_kernels(graph)))]
    path = program(planned, tmp_path)
    command = ["valgrind", "-q", "--error-exitcode=9", str(path)]
    assert subprocess.run(command, input=b"", capture_output=True, check=False).returncode == 9
