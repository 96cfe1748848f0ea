"""The runs of `compression.py`: what each trains, from what, for how long, and what comes out.

A run is named once and goes on where it was interrupted: training keeps checkpoints and a teacher's
answers in `build/compression`, results are in `compression.json`.
"""

from __future__ import annotations

import functools
import gzip
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks._compression_rows import Result, keep_result
from benchmarks._shared import HERE, SHARED
from benchmarks._tasks import Task, ic, kws
from smidgen import Graph, compile, describe, evaluate, load, shrink, write_tflite
from smidgen.data import Dataset, accuracy, decode, to_model
from smidgen.evaluate import real_outputs
from smidgen.files import replace_file
from smidgen.transforms.prune.weights import sparsity_of
from smidgen.verify.runtimes import RuntimePool
from tests.frontends.torch_export.published import published

WORK = HERE.parent / "build" / "compression"
BOARD = "nucleo-l4r5zi"
THREADS = 1


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
    """Accuracy of a file on the test samples, run by LiteRT as it does by default."""
    assert data.x_test is not None and data.y_test is not None
    with RuntimePool(timeout=1800) as pool:
        outputs = pool.run("litert_xnnpack", file, [to_model(graph, data.x_test)]).outputs[0]
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
        evaluate(small, held_apart(data, seed)).value,
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


# -- one network from three frameworks ------------------------------------------------------------


class ResNet8(nn.Module):
    """ResNet-8 of MLPerf Tiny, with the weights of its Keras file."""

    def __init__(self, weights: Graph) -> None:
        super().__init__()
        data = {
            n: torch.from_numpy(np.array(v.data))
            for n, v in weights.values.items()
            if v.is_constant
        }
        convs = [n for n in data if n.startswith("conv2d") and n.endswith("/kernel")]
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        for name in convs:
            o, h, w, i = data[name].shape
            stride = 2 if name.split("/")[0][7:] in ("3", "5", "6", "8") else 1
            conv = nn.Conv2d(i, o, (h, w), stride, bias=True)
            conv.weight.data = data[name].permute(0, 3, 1, 2).contiguous()
            conv.bias.data = data[name.replace("kernel", "bias")]
            self.convs.append(conv)
        for name in [n for n in data if n.endswith("/gamma")]:
            norm = nn.BatchNorm2d(len(data[name]), eps=1e-3)
            norm.weight.data, norm.bias.data = data[name], data[name.replace("gamma", "beta")]
            norm.running_mean = data[name.replace("gamma", "moving_mean")]
            norm.running_var = data[name.replace("gamma", "moving_variance")]
            self.norms.append(norm)
        self.dense = nn.Linear(64, 10)
        self.dense.weight.data, self.dense.bias.data = data["dense/kernel"], data["dense/bias"]

    def conv(self, index: int, x: Any) -> Any:
        """TensorFlow's "same" padding: an odd one goes after the image."""
        conv = self.convs[index]
        if conv.kernel_size == (3, 3):
            x = nn.functional.pad(x, (1, 1, 1, 1) if conv.stride == (1, 1) else (0, 1, 0, 1))
        return conv(x)

    def forward(self, x: Any) -> Any:
        relu, norms = nn.functional.relu, self.norms
        x = relu(norms[0](self.conv(0, x)))
        y = relu(norms[1](self.conv(1, x)))
        x = relu(x + norms[2](self.conv(2, y)))
        for block in (0, 1):
            first, second, shortcut = (3 + 3 * block + i for i in range(3))
            y = relu(norms[3 + 2 * block](self.conv(first, x)))
            x = relu(self.conv(shortcut, x) + norms[4 + 2 * block](self.conv(second, y)))
        return torch.softmax(self.dense(x.mean((2, 3))), -1)
