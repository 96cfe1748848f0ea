"""Running kernels between blocks of exactly the bytes they may touch, watched by sanitizers."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.backends.c.emit import emit
from smidgen.backends.c.project import write_sources
from smidgen.ir import Graph
from tests.host_batch import HostBatch

Array = np.ndarray[Any, Any]

_FLAGS = ("-std=c99", "-g", "-O1", "-w", "-fsanitize=address,undefined")
_SANITIZED = """
#include "{name}.c"
#include <stdio.h>
#include <stdlib.h>
/* Each block begins `shift` bytes into its allocation and ends where that ends. */
static void *block(size_t bytes, size_t shift) {{ return (char *)malloc(bytes + shift) + shift; }}
int main(void) {{
  for (size_t shift = 0; shift < {shifts}; ++shift) {{
    char *out = block({bytes_out}, 3 * shift % 4);
{allocate}
    {symbol}(&step_0, {operands}, (void *)out{scratch});
    fwrite(out, 1, {bytes_out}, stdout);
  }}
  (void){name}_invoke;
  return 0;
}}
"""


def run_sanitized(
    graph: Graph, inputs: Sequence[Array], folder: Path, *, features: Sequence[str], shifts: int = 4
) -> list[Array]:
    """The output of a graph of one node at each of `shifts` alignments.

    Any access beyond an operand, the output or the scratch, and any undefined behaviour, fails.

    Args:
        graph: one node, one output; constant operands only where the kernel takes none of them.
        inputs: one sample of each graph input, with its axis 0.
        folder: where to build.
        features: of the core the kernel is chosen for.
        shifts: alignments of inputs and output: 1 or 4.
    """
    batch = HostBatch([graph], features=features)
    (call,) = batch.arenas[0].calls
    source = emit(batch.graphs[0], batch.arenas[0], "test")
    write_sources(source, folder)
    lines, operands = [], []
    for i, x in enumerate(inputs):
        (folder / f"in{i}").write_bytes(np.ascontiguousarray(x).tobytes())
        lines.append(f"    void *in{i} = block({x.nbytes}, (shift + {i}) % {shifts});")
        lines.append(f'    {{ FILE *f = fopen("in{i}", "rb");')
        lines.append(f"      if (fread(in{i}, 1, {x.nbytes}, f) != {x.nbytes}) return 1;")
        lines.append("      fclose(f); }")
        operands.append(f"in{i}")
    if call.kernel.gather:
        operands = [f"(const void *const[]){{{', '.join(operands)}}}"]
    scratch = ""
    if call.kernel.scratch is not None:
        lines.append(f"    void *scratch = malloc({call.kernel.scratch_bytes(call.site)});")
        scratch = ", scratch"
    type = graph.type(graph.outputs[0])
    text = _SANITIZED.format(
        name=source.name,
        shifts=shifts,
        bytes_out=type.bytes,
        allocate="\n".join(lines),
        symbol=call.kernel.symbol,
        operands=", ".join(operands),
        scratch=scratch,
    )
    (folder / "main.c").write_text(text, encoding="utf-8")
    program = [str(folder / "main.c"), "-o", str(folder / "main")]
    subprocess.run(["gcc", *_FLAGS, *program], check=True)
    run = subprocess.run(
        [folder / "main"],
        capture_output=True,
        check=False,
        cwd=folder,
        env={"ASAN_OPTIONS": "detect_leaks=0"},
    )
    assert run.returncode == 0, run.stderr.decode()
    outputs = np.frombuffer(run.stdout, type.dtype).reshape(shifts, *type.shape)
    return list(outputs)
