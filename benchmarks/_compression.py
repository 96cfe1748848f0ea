"""The runs of `compression.py`: what each trains, from what, for how long, and what comes out.

A run is named once and goes on where it was interrupted: training keeps checkpoints and a teacher's
answers in `build/compression`, results are in `compression.json`.
"""

from __future__ import annotations

import functools
import gzip
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks._shared import HERE, SHARED
from benchmarks._tasks import Task, ic, kws
from smidgen import Graph, compile, describe, load, shrink, write_tflite
from smidgen.data import Dataset, accuracy, decode, to_model
from smidgen.evaluate import real_outputs
from smidgen.files import replace_file
from smidgen.transforms.prune.weights import sparsity_of
from smidgen.verify.runtimes import RuntimePool
from tests.frontends.torch_export.published import published

WORK = HERE.parent / "build" / "compression"
RESULTS = HERE / "compression.json"
BOARD = "nucleo-l4r5zi"
THREADS = 1


@dataclass(frozen=True)
class Result:
    """A row.

    Args:
        name: of the run.
        accuracy: of the written integer `.tflite` on the full test set, by LiteRT.
        float_accuracy: of the float model it was made of.
        held_out: of the integer model on the training samples held apart.
        agreement: predictions that are those of its simulation, on the samples held apart.
        macs, parameters: of the integer model; parameters are elements of its constants.
        sparsity: part of its weights that are zero.
        weight_bytes: bytes of its int8 and int4 constants.
        file_bytes, gzip_bytes: the `.tflite`, and compressed.
        flash_bytes, ram_bytes: linked for the board.
        seed: of the run.
        seconds: of training, all processes' work on this machine, teachers' answers not counted.
    """

    name: str
    accuracy: float
    float_accuracy: float
    held_out: float
    macs: int
    parameters: int
    sparsity: float
    weight_bytes: int
    file_bytes: int
    gzip_bytes: int
    flash_bytes: int
    ram_bytes: int
    seed: int
    seconds: float


def results() -> dict[str, Result]:
    """What is there so far, by name."""
    if not RESULTS.exists():
        return {}
    return {r["name"]: Result(**r) for r in json.loads(RESULTS.read_text(encoding="utf-8"))}


def keep_result(result: Result) -> None:
    """Add a row, or replace the one of its name."""
    found = results() | {result.name: result}
    rows = [asdict(found[name]) for name in sorted(found)]
    replace_file(RESULTS, (json.dumps(rows, indent=1) + "\n").encode())


# -- tasks and teachers ---------------------------------------------------------------------------


@functools.cache
def cifar() -> Task:
    """ResNet-8 and all of CIFAR-10."""
    return ic(train=50_000)


@functools.cache
def keywords() -> Task:
    """DS-CNN and the clips at hand: trained on those outside the official 1,000."""
    return kws()


class Normalized(nn.Module):
    """A published network that takes pixels of 0 to 255."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        for name, value in (("mean", (0.485, 0.456, 0.406)), ("std", (0.229, 0.224, 0.225))):
            self.register_buffer(name, torch.tensor(value).reshape(1, 3, 1, 1))

    def forward(self, x: Any) -> Any:
        return self.inner((x / 255 - self.mean) / self.std)


@functools.cache
def resnet56() -> Graph:
    """The teacher: 93.39 % on the test set, its weights published."""
    module, shape = published(SHARED / "models" / "cifar10_teachers" / "resnet56-4bfd9763.th")
    return load(Normalized(module).eval(), example=torch.zeros(1, *shape))


# -- running --------------------------------------------------------------------------------------


class Clock:
    """Seconds that training took, kept beside a checkpoint over interruptions.

    Args:
        name: of the run.
        every: steps between two lines.
    """

    def __init__(self, name: str, every: int = 100) -> None:
        self.path = WORK / f"{name}.seconds"
        self.name, self.every = name, every
        self.last: float | None = None  # what precedes the first step is the teacher's
        self.seconds = float(self.path.read_text()) if self.path.exists() else 0.0

    def __call__(self, progress: Any) -> None:
        """Called after every step."""
        now = time.monotonic()
        self.seconds += 0.0 if self.last is None else now - self.last
        self.last = now
        if progress.step % self.every == 0 or progress.step == progress.steps:
            replace_file(self.path, str(self.seconds).encode())
            scores = " ".join(f"{e.score:.4f}" for e in progress.epochs)
            print(f"{self.name} {progress.step}/{progress.steps} {progress.loss:.3f} {scores} "
                  f"{self.seconds:.0f} s", flush=True)  # fmt: skip


def trained(name: str, train: Callable[..., Graph], *args: Any, **settings: Any) -> Graph:
    """Call a verb that trains, with a checkpoint, a clock and the cache of answers."""
    WORK.mkdir(parents=True, exist_ok=True)
    return train(
        *args, checkpoint=WORK / f"{name}.ckpt", cache=WORK / "answers", threads=THREADS,
        progress=Clock(name), **settings,
    )  # fmt: skip


def seconds(*names: str) -> float:
    """What runs took together."""
    return sum(float((WORK / f"{n}.seconds").read_text()) for n in names)


# -- measuring ------------------------------------------------------------------------------------


def held_apart(data: Dataset, seed: int = 0, part: float = 0.1) -> Dataset:
    """The training samples that a run of this seed holds apart, as test samples."""
    order = np.random.default_rng((seed, 0)).permutation(len(data.x))
    held = order[: round(part * len(order))]
    assert data.y is not None
    return Dataset(data.x, data.y, data.x[held], data.y[held])


def by_litert(file: bytes, graph: Graph, data: Dataset) -> float:
    """Accuracy of a file on the test samples, run by LiteRT with its own reference kernels."""
    assert data.x_test is not None and data.y_test is not None
    with RuntimePool(timeout=1800) as pool:
        outputs = pool.run("litert_ref", file, [to_model(graph, data.x_test)]).outputs[0]
    return accuracy(decode(graph.output_types[0], outputs), data.y_test)


def measure(
    name: str, float_graph: Graph, integer: Graph, task: Task, seed: int, took: float
) -> Result:
    """Write the file, score it once on the full test set, compile it, and keep the row."""
    data = task.data
    assert data.x_test is not None and data.y_test is not None
    small, _ = shrink(integer)
    file = write_tflite(small, compact=True)
    firmware = compile(small, BOARD)
    facts = describe(small)
    weights = [v.type for v in small.values.values() if v.is_constant]
    result = Result(
        name,
        by_litert(file, small, data),
        accuracy(real_outputs(float_graph, data.x_test), data.y_test),
        by_litert(file, small, held_apart(data, seed)),
        facts.macs,
        facts.parameters,
        sparsity_of(integer),
        sum(t.bytes for t in weights if t.dtype in ("int8", "int4")),
        len(file),
        len(gzip.compress(file, 9)),
        firmware.flash_bytes,
        firmware.ram_bytes,
        seed,
        took,
    )
    keep_result(result)
    (WORK / f"{name}.tflite").write_bytes(file)
    print(result, flush=True)
    return result
