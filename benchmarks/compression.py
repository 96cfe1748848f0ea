"""What pruning, distillation and training in integers reach on CIFAR-10 and keyword spotting.

`python -m benchmarks compression` makes the rows that `compression.json` lacks and renews the page;
`python -m benchmarks.compression NAME ...` makes those again that are named.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from benchmarks import _compression_page as page
from benchmarks._compression_rows import results
from benchmarks._compression_runs import (
    ResNet8,
    cifar,
    keywords,
    measure,
    resnet56,
    seconds,
    trained,
)
from benchmarks._tasks import Task
from smidgen import Dataset, Graph, finetune, load, prune, quantize, student, train_quantized
from smidgen.training.prune import rank
from smidgen.training.settings import Training
from smidgen.transforms.prune.channels import remove, uniform
from smidgen.transforms.prune.importance import channel_means
from smidgen.transforms.shrink import Channels

Taught = Literal["distilled", "labels"]

FEW = 5000  # training samples
STUDENT_STEPS = 3510  # 10 passes over all of CIFAR-10

# Choices were made on the tenth of the training samples that runs hold apart.
SETTINGS: dict[str, dict[str, Any]] = {
    "float": {"epochs": 24.0, "learning_rate": 1e-3},
    "half": {"epochs": 28.0, "learning_rate": 2e-3},
    "sparse": {"epochs": 24.0, "learning_rate": 2e-3},
    "student": {"learning_rate": 2e-3},
    "int8": {"epochs": 1.5, "learning_rate": 1e-4},
    "int4": {"epochs": 3.0, "learning_rate": 3e-4},
    "few": {"epochs": 10.0, "learning_rate": 1e-3},
    "brief": {"epochs": 6.0, "learning_rate": 1e-3},
    "brief int8": {"epochs": 0.5, "learning_rate": 1e-4},
    "int4 short": {"epochs": 1.25, "learning_rate": 3e-4},
}
KEYWORD_SETTINGS: dict[str, dict[str, Any]] = {
    "float": {"epochs": 30.0, "learning_rate": 5e-4},
    "half": {"epochs": 60.0, "learning_rate": 1e-3},
    "int8": {"epochs": 10.0, "learning_rate": 1e-4},
    "int4": {"epochs": 30.0, "learning_rate": 3e-4},
}


@dataclass(frozen=True)
class Study:
    """A network, its data, and who teaches it.

    Args:
        name: of the task.
        task: its model and data.
        settings: of each kind of training.
        model: instead of the task's.
    """

    name: str
    task: Task
    settings: dict[str, dict[str, Any]]
    model: Graph | None = None

    def given(self, kind: str, seed: int) -> dict[str, Any]:
        """Settings of one training."""
        augment = "image" if self.name == "cifar" else "audio"
        return {**self.settings[kind], "augment": augment, "seed": seed}

    def original(self) -> Graph:
        """The model as it was published."""
        return self.task.model() if self.model is None else self.model

    def student(self) -> Graph:
        """Half of every layer's channels, as the original has them."""
        return student(self.original(), 0.5, self.task.data)


STUDIES = {
    "cifar": lambda: Study("cifar", cifar(), SETTINGS),
    "kws": lambda: Study("kws", keywords(), KEYWORD_SETTINGS),
}


class Run:
    """One row in the making: trainings one after the other, each with a checkpoint of its name.

    Args:
        study: what it is about.
        taught: by whom.
        seed: of every training in it.
    """

    def __init__(self, study: Study, taught: Taught, seed: int) -> None:
        self.study, self.taught, self.seed = study, taught, seed
        self.steps: list[str] = []

    def teacher(self) -> Graph:
        """ResNet-56 for ResNet-8; keywords have the network before it is made smaller."""
        if self.study.name == "cifar":
            return resnet56()
        return Run(self.study, "labels", self.seed).better()

    def train(
        self, kind: str, verb: Any, graph: Graph, *args: Any, after: str = "", **more: Any
    ) -> Graph:
        """Train, or read what came of it before."""
        teaches = self.taught == "distilled" and kind != "float"
        taught = "distilled" if teaches else "labels"
        name = "-".join(p for p in (self.study.name, kind, after, taught, str(self.seed)) if p)
        self.steps.append(name.replace(" ", "-"))
        settings = {**self.study.given(kind, self.seed), **more}
        if teaches:
            settings["teacher"] = self.teacher()
        return trained(self.steps[-1], verb, graph, self.study.task.data, *args, **settings)

    def better(self) -> Graph:
        """Trained further, on labels: teachers come in where something is taken away."""
        return self.train("float", finetune, self.study.original())

    def half(self) -> Graph:
        """Half of the multiply-accumulates, channels chosen over all layers, and healed."""
        return self.train("half", prune, self.better(), channels=0.5)

    def narrow(self) -> Graph:
        """The same part of every layer's channels, to no fewer multiply-accumulates, healed."""
        return self.train(
            "half", finetune, narrowed(self.better(), self.study.task.data), after="uniform"
        )

    def sparse(self, percent: int) -> Graph:
        """So many connections gone, gradually."""
        return self.train("sparse", prune, self.better(), after=str(percent), weights=percent / 100)

    def teach(self, graph: Graph, what: str) -> Graph:
        """A student taught for `STUDENT_STEPS`; where most labels are missing a teacher has all
        samples and none of the labels.
        """
        if what == "unlabelled" and self.taught == "distilled":
            self.study = unlabelled(STUDIES[self.study.name]())
        per_epoch = Training().steps_per_epoch(round(0.9 * len(self.study.task.data.x)))
        epochs = STUDENT_STEPS / per_epoch
        return self.train("student", finetune, graph, after=what, epochs=epochs)

    def integer(self, graph: Graph, kind: str, after: str) -> Graph:
        """Trained in integers."""
        recipe = "int4" if "int4" in kind else "int8"
        return self.train(kind, train_quantized, graph, recipe, after=after)


def narrowed(graph: Graph, data: Dataset, part: float = 0.5) -> Graph:
    """The widest network of uniform width within a part of the multiply-accumulates."""
    channels = Channels(graph)
    scores = rank(channels, "taylor", data)
    cuts = (uniform(channels, scores, width) for width in np.arange(0.95, 0.3, -0.01))
    cut = next(c for c in cuts if c.after <= part * c.before)
    return remove(cut, channel_means(graph, [data.x[:256]]))


def source(framework: str) -> Study:
    """ResNet-8 as one of three frameworks has it; a `.tflite` has its normalizations folded."""
    task = cifar()
    if framework == "keras":
        return Study("cifar", task, SETTINGS)
    if framework == "tflite":
        task = dataclasses.replace(task, file="pretrainedResnet.tflite")
        return Study("cifar", task, SETTINGS)
    module = ResNet8(task.model()).eval()
    data = task.data
    moved = [np.ascontiguousarray(np.moveaxis(x, -1, 1)) for x in (data.x, data.x_test)]
    task = dataclasses.replace(task, data=Dataset(moved[0], data.y, moved[1], data.y_test))
    return Study("cifar", task, SETTINGS, load(module, example=torch.zeros(1, 3, 32, 32)))


def few(study: Study) -> Study:
    """A study of which hardly any training samples are at hand."""
    data = study.task.data
    assert data.y is not None
    part = Dataset(data.x[:FEW], data.y[:FEW], data.x_test, data.y_test)
    return dataclasses.replace(study, task=dataclasses.replace(study.task, data=part))


def unlabelled(study: Study) -> Study:
    """A study of which all training samples are at hand and no label."""
    data = Dataset(study.task.data.x, None, study.task.data.x_test, study.task.data.y_test)
    return dataclasses.replace(study, task=dataclasses.replace(study.task, data=data))


def make(name: str) -> None:
    """Make a row, named as "TASK WHAT TAUGHT SEED"."""
    task, what, taught, seed = name.split()
    from_framework = what.startswith("from-")
    study = source(what.removeprefix("from-")) if from_framework else STUDIES[task]()
    if what in ("few", "unlabelled"):
        study = few(study)
    run = Run(study, taught, int(seed))  # type: ignore[arg-type]
    if what in ("int8", "int4"):
        graph = run.better()
        integer = run.integer(graph, what, "")
    elif what == "int8-ptq":
        graph = run.better()
        integer = quantize(graph, study.task.data, "int8")
    elif what == "int4-short":
        graph = study.original()
        integer = run.integer(graph, "int4 short", "")
    elif what == "few":
        graph = run.train("few", prune, study.original(), channels=0.5)
        integer = quantize(graph, study.task.data, "int8")
    elif what in ("student", "unlabelled"):
        graph = run.teach(study.student(), what)
        integer = quantize(graph, study.task.data, "int8")
    elif from_framework:
        graph = run.train("brief", prune, study.original(), after=what, channels=0.7)
        integer = run.integer(graph, "brief int8", what)
    elif what in ("half", "uniform"):
        graph = run.half() if what == "half" else run.narrow()
        integer = run.integer(graph, "int8", what)
    else:
        graph = run.sparse(int(what.removeprefix("sparse")))
        integer = quantize(graph, study.task.data, "int8")  # better than to train it, on those held
    if (what, taught) == ("unlabelled", "distilled"):
        study = STUDIES[task]()  # held apart are some of all samples
    measure(name, graph, integer, study.task, run.seed, seconds(*run.steps))


BOTH: tuple[Taught, ...] = ("distilled", "labels")
ROWS = [
    "cifar int8-ptq labels 0",
    *(f"cifar {what} {taught} 0" for what in ("int8", "int4") for taught in BOTH),
    *(f"cifar int4-short {taught} {seed}" for seed in range(3) for taught in BOTH),
    *(f"cifar half {taught} 0" for taught in BOTH),
    *(f"cifar {what} labels 0" for what in ("uniform", "sparse80", "sparse90")),
    *(
        f"cifar {what} {taught} {seed}"
        for what in ("few", "student", "unlabelled")
        for seed in range(3)
        for taught in BOTH
    ),
    *(
        f"cifar from-{framework} labels {seed}"
        for framework in ("keras", "tflite", "torch")
        for seed in range(2)
    ),
    *(f"kws {what} {taught} 0" for what in ("int8", "int4") for taught in BOTH),
    *(f"kws half {taught} {seed}" for seed in range(3) for taught in BOTH),
]


def main() -> None:
    there = results()
    for name in ROWS:
        if name not in there:
            make(name)
    page.write()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        make(name)
    page.write()
