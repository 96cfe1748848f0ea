"""The C function that makes a model forget: every state as it is at first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from smidgen.backends.c._write_calls import Constants
from smidgen.ir import Graph


def reset_function(
    name: str, graphs: Sequence[Graph], offsets: Mapping[str, int], constants: Constants
) -> str:
    """Write the function.

    Bytes that are all alike are set, others copied from a table; neighbours are set together.

    Args:
        name: C identifier of the model.
        graphs: its functions.
        offsets: where each state lies in the block.
        constants: takes the tables.
    """
    initial = {s.name: np.ascontiguousarray(s.initial) for g in graphs for s in g.states}
    runs: list[tuple[int, int, int]] = []  # from, to, what
    lines = []
    for state in sorted(initial, key=lambda state: offsets[state]):
        at, array = offsets[state], initial[state]
        raw = array.view(np.uint8).reshape(-1) if array.size else np.zeros(0, np.uint8)
        if (raw != raw[:1]).any():
            table = constants.table(array, "initial")
            lines.append(f"  memcpy(s + {at}, {table}, {raw.size});\n")
        elif runs and runs[-1][2] == raw[0] and at - runs[-1][1] < 4:
            runs[-1] = (runs[-1][0], at + raw.size, runs[-1][2])
        elif raw.size:
            runs.append((at, at + raw.size, int(raw[0])))
    lines += [f"  memset(s + {start}, {what}, {end - start});\n" for start, end, what in runs]
    return f"void {name}_reset(void *state) {{\n  uint8_t *s = state;\n{''.join(lines)}}}\n"
