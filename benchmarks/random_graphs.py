"""Random integer graphs at every optimize level: int_ref, host C, TFLM or LiteRT, emulated cores.

Every graph is compiled for the host with the kernels of plain cores and with those of cores with
DSP instructions, and replayed step by step in a poisoned arena under ASan and UBSan. The
first ones are replayed, too, and compiled at the other levels and with DSP kernels; some run on an
emulated Cortex-M4 and M0+.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks._shared import keep, table
from smidgen import Graph, compile, write_tflite
from smidgen.backends.c.arena import plan_arena
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.errors import RuntimeCrashedError
from smidgen.interpreter import interpret
from smidgen.verify.runtimes import TITLES, RuntimePool
from tests.backends.c.replay import Planned, Replay
from tests.e2e.test_random_graphs import BATCH, difference, draw_inputs
from tests.examples import examples
from tests.host_batch import HostBatch
from tests.random_graphs import graphs, runtime_of

COUNT, WIDE, REPLAYED, ON_CHIP = 2000, 300, 200, 100  # WIDE: graphs of int16 activations
LEVELS = ("balanced", "speed", "flash")
CORES = {"plain": (), "dsp": ("dsp",)}
BOARDS = {"Cortex-M4": "nucleo-l4r5zi", "Cortex-M0+": "nucleo-g071rb"}


def check_host(drawn: Sequence[Graph], optimize: str, features: Sequence[str]) -> list[str]:
    """Compiled C in its own arena and replayed in a poisoned one; what went wrong."""
    wrong = []
    for first in range(0, len(drawn), BATCH):
        some = drawn[first : first + BATCH]
        compiled = HostBatch(some, features=features, optimize=optimize)
        replayed = some if first < REPLAYED else []
        plans = [
            Planned(
                g,
                plan_arena(g, select_kernels(g, features=features, optimize=optimize)),
                optimize,
            )
            for g in replayed
        ]
        replay = Replay(plans) if plans else None
        for i, graph in enumerate(some):
            inputs = draw_inputs(graph)
            wrong += _named(first + i, difference(graph, compiled.run(i, inputs), wants(graph)))
            if replay is None:
                continue
            try:
                replay.check(i, seed=first + i, rows=1)
            except AssertionError as error:
                wrong += _named(first + i, str(error))
    return wrong


def check_foreign(drawn: Sequence[Graph], runtime: str) -> tuple[list[str], int, int]:
    """The reference against the runtime that has the operators of a graph.

    Returns:
        What differs, how many graphs are compared, and on how many the runtime aborts.
    """
    wrong, compared, aborted = [], 0, 0
    with RuntimePool(timeout=120) as pool:
        for i, graph in enumerate(drawn):
            if runtime_of(graph) != runtime:
                continue
            got = run_foreign(pool, graph)
            compared += 1
            if got is None:
                aborted += 1
            else:
                wrong += _named(i, difference(graph, got, wants(graph)))
    return wrong, compared, aborted


def run_foreign(pool: RuntimePool, graph: Graph) -> list[np.ndarray[Any, Any]] | None:
    """Outputs, or None where the runtime aborts as it must on a wide SOFTMAX."""
    try:
        return pool.run(runtime_of(graph), write_tflite(graph), draw_inputs(graph)).outputs
    except RuntimeCrashedError:
        softmax = [n.outputs[0] for n in graph.nodes if n.op.name == "SOFTMAX"]
        if max((graph.type(name).shape[-1] for name in softmax), default=0) < 512:
            raise
        return None


def check_chip(drawn: Sequence[Graph], optimize: str, board: str) -> list[str]:
    """Firmware on an emulated core, on the two extreme inputs."""
    wrong = []
    for i, graph in enumerate(drawn):
        inputs = [array[-2:] for array in draw_inputs(graph)]
        got = compile(graph, board, optimize=optimize).run(inputs).outputs
        wrong += _named(i, difference(graph, got, [w[-2:] for w in wants(graph)]))
    return wrong


def wants(graph: Graph) -> list[np.ndarray[Any, Any]]:
    """What the reference computes on `draw_inputs`."""
    if id(graph) not in _WANTS:
        _WANTS[id(graph)] = interpret(graph, draw_inputs(graph))
    return _WANTS[id(graph)]


_WANTS: dict[int, list[np.ndarray[Any, Any]]] = {}


def _named(index: int, text: str) -> list[str]:
    return [f"graph {index}: {text}"] if text else []


def main() -> None:
    drawn = examples(graphs(3, 12, "int8"), COUNT, "int8")
    chosen = drawn[:: COUNT // ON_CHIP]
    wide = examples(graphs(3, 12, "int16"), WIDE, "int16")
    operators = {node.op.name for graph in (*drawn, *wide) for node in graph.nodes}
    rows: list[list[Any]] = []
    failures: list[str] = []

    def row(what: str, level: str, count: int, wrong: list[str], start: float) -> None:
        rows.append([what, level, count, len(wrong), round(time.monotonic() - start)])
        print(rows[-1], *wrong[:3], sep="\n", flush=True)
        failures.extend(wrong)

    aborts = 0
    for some, kind in ((drawn, ""), (wide, ", int16")):
        for runtime, title in (("tflm", TITLES["tflm"]), ("litert_ref", TITLES["litert_ref"])):
            start = time.monotonic()
            wrong, compared, aborted = check_foreign(some, runtime)
            aborts += aborted
            row(f"{title}{kind}", "", compared, wrong, start)
    for name, features in CORES.items():
        start = time.monotonic()
        wrong = check_host(wide, "balanced", features)
        row(f"host C, {name} kernels, int16", "balanced", len(wide), wrong, start)
    for level in LEVELS:
        for name, features in CORES.items():
            some = drawn if (level, name) == ("balanced", "plain") else drawn[:REPLAYED]
            start = time.monotonic()
            what = f"host C, {name} kernels"
            row(what, level, len(some), check_host(some, level, features), start)
        for name, board in BOARDS.items():
            few = chosen if level == "balanced" else chosen[::4]
            start = time.monotonic()
            row(f"emulated {name}", level, len(few), check_chip(few, level, board), start)
    parts = [
        f"Graphs of 3 to 12 operators of {len(operators)} kinds, drawn at random, whose outputs "
        "differ from the integer reference in any byte; of int8, or where it says so of int16 "
        "activations with int8 weights. Graphs with an operator that TensorFlow "
        "Lite Micro lacks are compared with LiteRT's reference kernels. Host C runs in an arena of "
        f"its own under UBSan, the first {REPLAYED} graphs again step by step in a poisoned arena "
        f"under ASan and UBSan. TensorFlow Lite Micro aborts on {aborts} of them: its SOFTMAX "
        "checks that the exponentials of a row sum up to less than 512.\n",
        table(("engine", "optimize", "graphs", "that differ", "seconds"), rows),
        *failures[:10],
    ]
    keep("random_graphs", "Random graphs", "python -m benchmarks random_graphs", parts)


if __name__ == "__main__":
    main()
