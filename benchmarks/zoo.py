"""Every model of the zoo: it loads and agrees with its own runtime, or says why not.

Each model is read, compared with its own framework or runtime on random inputs, and compared as
compiled C. Float models without state are quantized, written, and compared again: with LiteRT on
the written file, and as compiled C. Where data is at hand its accuracy is measured. A model has a
process of its own: one that fails says so in its row.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._shared import HERE, SHARED, table
from benchmarks._zoo_data import CALIBRATED, JUDGED
from benchmarks._zoo_oracles import answer, source_layout
from smidgen import Dataset, Graph, evaluate, load, quantize, random_inputs, run, write_tflite
from smidgen.data import decode
from smidgen.errors import ForeignRuntimeError, SmidgenError
from smidgen.interpreter import run_node
from smidgen.ir import Node
from smidgen.transforms.quantize import snr_db
from smidgen.transforms.rewrites import simplify

PAGE = HERE.parent / "docs" / "zoo.md"
COMMAND = "make zoo"
SAMPLES = 20
CALIBRATION = 64  # random inputs, where there is no data
TOLERANCE = 1e-4  # of a float output, as a part of the largest one
SMALL = 0.01  # and of this, where all are smaller: runtimes' logistic functions are off by 1e-7
TIMEOUT = 1200
WEIGHTS = (".pth", ".th")  # read into a module of ours: alone they are refused

# What a model leaves open: values of inputs that choose a branch, sizes that may vary.
OPTIONS: dict[str, dict[str, Any]] = {
    "silero_vad_16k_op15.onnx": {
        "fixed": {"sr": 16000},
        "shapes": {"input": (1, 512), "state": (2, 1, 128)},
    },
}


# Input scales from which on LiteRT's kernels are known to be wrong.
COARSE = {"LOGISTIC": 2.0, "TANH": 8.0}
# Weights are int8 and activations float: LiteRT quantizes those anew at every run, with an error of
# its own. Smidgen reads such a model as the float model that it is.
HYBRID = {"kws_ref_model_float32.tflite": 0.1}


@dataclass
class Line:
    """What is known about one model; cells stay empty when nothing came of them."""

    file: str
    loads: str = "no"
    agrees: str = ""
    host: str = ""
    snr: str = ""
    integer: str = ""
    accuracy: str = ""
    reason: str = ""
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)

    def cells(self) -> tuple[Any, ...]:
        """As a row of the table."""
        return (
            f"`{self.file}`", self.loads, self.agrees, self.host, self.snr, self.integer,
            self.accuracy, f"{self.seconds:.1f}",
        )  # fmt: skip


COLUMNS = (
    "model", "operators", "agrees with", "host C", "int8 signal to noise (dB)",
    "int8 file and C", "measured (published)", "seconds",
)  # fmt: skip


def files() -> list[Path]:
    """Every model file at hand."""
    kinds = {".tflite", ".onnx", ".h5", ".keras", ".pth", ".th"}
    folders = [SHARED / "zoo", *sorted((SHARED / "models").iterdir())]
    found = [p for folder in folders for p in sorted(folder.iterdir()) if p.suffix in kinds]
    saved = [p.parent for p in (SHARED / "models").rglob("saved_model.pb")]
    return [*found, *saved]


def examine(path: Path) -> Line:
    """Everything about one model."""
    line = Line(path.name)
    start = time.monotonic()
    try:
        graph = read(path)
    except SmidgenError as error:
        line.reason = f"{error.message}; {error.hint}" if error.hint else error.message
        line.seconds = time.monotonic() - start
        return line
    line.loads = str(len(graph.nodes))
    inputs = random_inputs(graph, SAMPLES)
    try:
        agree(line, path, graph, inputs)
        if not graph.is_quantized and not graph.states:
            integer(line, graph, path.name)
        judge(line, graph, path.name)
    except SmidgenError as error:
        line.failed.append(str(error))
    line.seconds = time.monotonic() - start
    return line


def read(path: Path) -> Graph:
    """The graph of a file; of weights alone, that of the module they belong to."""
    if path.suffix not in WEIGHTS:
        return load(path, **OPTIONS.get(path.name, {}))
    import torch

    from tests.frontends.torch_export.published import published

    module, shape = published(path)
    return load(module, example=(torch.zeros(1, *shape),))


def agree(line: Line, path: Path, graph: Graph, inputs: list[np.ndarray]) -> None:
    """Compare with the file's own runtime, and with compiled C."""
    stream = bool(graph.states)
    ours = run(graph, inputs, stream=stream)
    fixed = OPTIONS.get(path.name, {}).get("fixed", {})
    try:
        theirs = answer(path, graph, inputs, fixed, stream=stream)
        tolerance = HYBRID.get(path.name, TOLERANCE)
        worst = compare(source_layout(graph, graph.outputs, ours), theirs.outputs, tolerance)
        hybrid = ", whose activations are int8" if path.name in HYBRID else ""
        line.agrees = f"{theirs.runtime}{hybrid}: {worst}"
        if worst.startswith("NO"):
            line.failed.append(line.agrees)
    except ForeignRuntimeError as error:
        line.agrees = "no runtime runs it"
        line.failed.append(str(error))
    line.host = on_host(graph, inputs, ours)
    if line.host.startswith("NO"):
        line.failed.append(f"host C: {line.host}")


def compare(ours: list[np.ndarray], theirs: list[np.ndarray], tolerance: float = TOLERANCE) -> str:
    """How far two runtimes are apart: integers may not be, floats by rounding noise."""
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if a.size != b.size:
            return f"NO: shapes {a.shape} and {b.shape}"
        a, b = a.ravel(), b.ravel()
        if a.dtype.kind == "f":
            scale = float(np.abs(b).max(initial=0.0)) + SMALL
            worst = max(worst, float(np.abs(a.astype(np.float64) - b).max(initial=0.0)) / scale)
        elif not np.array_equal(a.astype(np.int64), b.astype(np.int64)):
            return f"NO: {np.mean(a != b):.2%} of the integers differ"
    if worst > tolerance:
        return f"NO: {worst:.1e}"
    return f"{worst:.0e}" if worst else "exact"


def on_host(graph: Graph, inputs: list[np.ndarray], want: list[np.ndarray]) -> str:
    """The same inputs through the compiled C."""
    from smidgen.backends.c.host import QUICK, HostModel

    model = HostModel(simplify(graph), flags=QUICK)
    return compare(model.run(inputs, stream=True) if graph.states else model.run(inputs), want)


def integer(line: Line, graph: Graph, name: str) -> None:
    """Float to int8: what it costs, and whether file and C compute it exactly."""
    from smidgen.verify.runtimes import RuntimePool

    data = data_of(name)
    if data is None:
        samples: Any = source_layout(graph, graph.inputs, normal(graph, CALIBRATION, seed=1))
        seen = normal(graph, SAMPLES, seed=2)
    else:
        from smidgen.data import to_model

        assert data.x_test is not None
        samples, seen = data, [to_model(graph, data.x_test[:SAMPLES])]
    int8 = quantize(graph, samples)
    given = [quantized(int8, i, a) for i, a in enumerate(seen)]
    want, got = run(graph, seen), run(int8, given)
    file = write_tflite(int8)
    with RuntimePool(timeout=600) as pool:
        litert = pool.run("litert_ref", file, given).outputs
        try:
            tflm = compare(got, pool.run("tflm", file, given).outputs)
        except ForeignRuntimeError:
            tflm = "lacks an operator"
    real = [decode(t, a) for t, a in zip(int8.output_types, litert, strict=True)]
    line.snr = ", ".join(f"{snr_db(w, r):.1f}" for w, r in zip(want, real, strict=True))
    host, reference = on_host(int8, given, got), compare(as_litert(int8, given), litert)
    coarse = [
        n.label for n in int8.nodes if int8.type(n.outputs[0]).dtype == "int8" and wrong(int8, n)
    ]
    if reference.startswith("NO") and coarse:
        reference = f"{reference.removeprefix('NO: ')}: it is wrong at {coarse[0]}"
    line.integer = f"TFLM {tflm}, LiteRT {reference}, C {host}"
    if "NO" in line.integer:
        line.failed.append(line.integer)
    if name in JUDGED or name in CALIBRATED:
        assert data is not None
        line.accuracy = f"int8 {evaluate(int8, data).value:.4g}"


def wrong(graph: Graph, node: Node) -> bool:
    """Whether LiteRT's reference kernel is known to be wrong at a node, see tests/ops/test_matrix.

    Its LOGISTIC and TANH are, just inside the radius beyond which their results are constant.
    """
    quant = None if node.inputs[0] is None else graph.type(node.inputs[0]).quant
    return quant is not None and quant.scales[0] >= COARSE.get(node.op.name, np.inf)


def normal(graph: Graph, count: int, seed: int) -> list[np.ndarray]:
    """Normal noise for float inputs: a distribution that calibration can know."""
    rng = np.random.default_rng(seed)
    drawn = random_inputs(graph, count, seed)
    return [rng.normal(0, 1, a.shape).astype(a.dtype) if a.dtype.kind == "f" else a for a in drawn]


def as_litert(graph: Graph, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Outputs as LiteRT's reference kernels round them: FULLY_CONNECTED once, all else twice."""
    rows = []
    for i in range(len(inputs[0])):
        values = {n: a[i : i + 1] for n, a in zip(graph.inputs, inputs, strict=True)}
        for node in graph.nodes:
            rounding = "single" if node.op.name == "FULLY_CONNECTED" else "double"
            results = run_node(graph, node, values, rounding)
            values.update(zip(node.outputs, results, strict=True))
        rows.append([values[n] for n in graph.outputs])
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


def quantized(graph: Graph, index: int, array: np.ndarray) -> np.ndarray:
    """Real inputs as a quantized graph takes them."""
    from smidgen.data import encode

    return encode(graph.input_types[index], array)


def data_of(name: str) -> Dataset | None:
    """The data at hand for a model."""
    if name in JUDGED:
        return JUDGED[name].data()
    return CALIBRATED[name]() if name in CALIBRATED else None


def judge(line: Line, graph: Graph, name: str) -> None:
    """Measure the model itself where a figure was published."""
    if name not in JUDGED:
        return
    judged = JUDGED[name]
    score = evaluate(graph, judged.data())
    kept = (
        score.value >= judged.known - 0.01
        if score.higher_is_better
        else score.value <= judged.known * 1.01
    )
    if not kept:
        line.failed.append(f"{score} where {judged.known} was published")
    after = f", {line.accuracy}" if line.accuracy else ""
    line.accuracy = f"{score.value:.4g} ({judged.known:.4g}){after}: {judged.on}"


def main() -> None:
    """Examine each model in a process of its own and keep the table."""
    lines = []
    for path in files():
        line = apart(path)
        lines.append(line)
        print(line.file, "|", *line.cells()[1:], line.reason, *line.failed, flush=True)
    PAGE.write_text(page(lines), encoding="utf-8")
    broken = [line for line in lines if line.failed]
    if broken:
        raise SystemExit(f"{len(broken)} models fail: {', '.join(line.file for line in broken)}")


def apart(path: Path) -> Line:
    """One model in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.zoo", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return Line(path.name, failed=[f"took over {TIMEOUT} s"])
    if done.returncode:
        return Line(path.name, failed=[done.stderr.strip().splitlines()[-1]])
    return Line(**json.loads(done.stdout.splitlines()[-1]))


def page(lines: list[Line]) -> str:
    """The page of the documentation."""
    good = [line for line in lines if line.loads != "no"]
    refused = [line for line in lines if line.loads == "no" and not line.failed]
    parts = [
        "# The zoo\n",
        f"Real models from the field, made by `{COMMAND}`. Each is compared on {SAMPLES} random "
        "inputs with its own\nframework or runtime: integers exactly, floats as a part of the "
        "largest output. Models with state run\nthe inputs as one stream. Float models without "
        "state are then quantized to int8, on real data where some is at\nhand and on random "
        "inputs elsewhere; signal to noise is that of each output.\n",
        table(COLUMNS, [line.cells() for line in good]),
    ]
    if refused:
        parts += [
            "\n## Refused\n",
            table(("model", "what Smidgen says"), [(f"`{r.file}`", r.reason) for r in refused]),
        ]
    broken = [line for line in lines if line.failed]
    if broken:
        rows = [(f"`{line.file}`", "; ".join(line.failed)) for line in broken]
        parts += ["\n## Wrong\n", table(("model", "what differs"), rows)]
    return "\n".join(parts)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(asdict(examine(Path(sys.argv[1])))))
    else:
        main()
