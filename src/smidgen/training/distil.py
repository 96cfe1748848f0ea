"""Distillation: a teacher passes on what it knows.

A teacher is whatever answers for samples: a graph, a file or live model of any framework that
loads, a function, or answers that are known already. Where the training samples are seen in a few
fixed views only (as they are, and mirrored), its answers are worked out once and looked up, so
that a large teacher costs as much as one pass through it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from smidgen.data import Dataset, arrange_all, decode, encode
from smidgen.errors import DataError, RecipeError, UnsupportedModelError
from smidgen.files import replace_file
from smidgen.ir import Graph
from smidgen.training.augment import get_augment, image
from smidgen.training.losses import raw_output
from smidgen.training.module import GraphModule
from smidgen.training.objective import Batch, Teacher, View
from smidgen.training.settings import Training
from smidgen.transforms.rewrites import simplify

Array = np.ndarray[Any, Any]
Tensor = torch.Tensor
Answer = Callable[[Sequence[Array]], Array]
"""Logits (n, c) or outputs (n, ...) of samples (n, ...) of each input in the student's layout."""

BATCH = 256
_SMALLEST = 1e-7  # a probability below it counts as that, before the logarithm


def as_they_are(x: Array) -> Array:
    """The first view."""
    return x


def mirrored(x: Array) -> Array:
    """Images (n, h, w, c) seen in a mirror."""
    return x[:, :, ::-1]


@dataclass(frozen=True, eq=False)
class Known:
    """A teacher whose answers are known.

    Args:
        logits: (samples, views, ...) float32.
        views: of the samples, as many as there are answers to each.
    """

    logits: Array
    views: Sequence[View]

    def answers(self, batch: Batch) -> Tensor:
        """Looks them up."""
        found = self.logits[batch.rows, batch.views]
        return torch.from_numpy(np.ascontiguousarray(found)).to(batch.inputs[0].device)

    @property
    def identity(self) -> str:
        """Of the answers."""
        return hashlib.sha256(self.logits[:: max(1, len(self.logits) // 256)].tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Live:
    """A teacher that is asked about every batch, whatever was done to its samples."""

    answer: Answer
    views: Sequence[View] = ()
    identity: str = "live"

    def answers(self, batch: Batch) -> Tensor:
        """Asks."""
        found = self.answer([x.cpu().numpy() for x in batch.inputs])
        return torch.from_numpy(found).to(batch.inputs[0].device)


def get_teacher(
    source: Any,
    student: Graph,
    data: Dataset,
    training: Training,
    *,
    cache: str | Path | None = None,
    live: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Teacher:
    """Whatever can teach, as a Teacher of this student.

    Args:
        source: a Graph; a file or live model that `smidgen.load` takes; a function of samples
            (n, ...) as the student's source takes them, an argument for each input; or an array
            (n, ...) of answers to `data.x`. Teachers of classes answer with logits; a softmax at a
            graph's end is left out, and undone at the end of an integer graph.
        student: who is taught.
        data: the training samples.
        training: its augmentation says in which views they are seen.
        cache: folder that keeps answers between runs.
        live: ask about every augmented batch instead of keeping answers for fixed views.
        progress: called with (samples answered, samples in all).

    Raises:
        DataError: if the answers do not fit the student's outputs.
        RecipeError: if kept answers are to teach samples that are mixed.
        UnsupportedModelError: if the source is none of these.
    """
    if training.mixup and (isinstance(source, np.ndarray) or not live):
        raise RecipeError(
            f"mixup={training.mixup:g} with a teacher's kept answers, which know no mixed samples",
            hint="leave mixup out, or finetune with live_teacher, which asks about every batch",
        )
    if isinstance(source, np.ndarray):
        if len(source) != len(data.x):
            raise DataError(f"{len(source)} answers for {len(data.x)} samples", where="teacher")
        _check_answers(source[:1], student)
        return Known(source.astype(np.float32)[:, None], (as_they_are,))
    answer, identity = _answer_of(source, student)
    if live:
        return Live(answer, identity=f"live {identity}")
    augment = get_augment(training.augment, student.input_types)
    mirrors = augment is image and student.input_types[0].shape[3] > 1
    views: tuple[View, ...] = (as_they_are, mirrored) if mirrors else (as_they_are,)
    folder = None if cache is None else Path(cache)
    total = len(data.x) * len(views)
    columns = []
    for i, view in enumerate(views):
        done = i * len(data.x)

        def tell(count: int, done: int = done) -> None:
            if progress is not None:
                progress(done + count, total)

        columns.append(_answers(answer, student, data, view, folder, identity, tell))
    logits = np.stack(columns, axis=1)
    _check_answers(logits[:1, 0], student)
    return Known(logits, views)


def learn_from(
    source: Any,
    student: Graph,
    data: Dataset,
    training: Training,
    *,
    features: bool = False,
    live: bool = False,
    cache: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Teacher | None, Features | None]:
    """The teacher of a student, and what it teaches of its inside if `features` are asked for.

    Arguments are those of `get_teacher`; without a source there is no teacher.

    Raises:
        UnsupportedModelError: if features are asked of what is no float graph.
    """
    if features and (not isinstance(source, Graph) or source.is_quantized):
        raise UnsupportedModelError(
            "features are learned from a float Graph", where="teacher", hint="load it first"
        )
    if source is None:
        return None, None
    teacher = get_teacher(
        source, student, data, training, cache=cache, live=live or features, progress=progress
    )
    return teacher, Features(student, source) if features else None


def _answers(
    answer: Answer,
    student: Graph,
    data: Dataset,
    view: View,
    folder: Path | None,
    identity: str | None,
    tell: Callable[[int], None],
) -> Array:
    """Answers to all training samples in one view, from the cache if they are there."""
    path = None
    if folder is not None and identity is not None:
        key = hashlib.sha256(f"{identity} {view.__name__}".encode())
        for array in data.inputs:
            key.update(np.ascontiguousarray(array).tobytes())
        path = folder / f"{key.hexdigest()[:32]}.npy"
        found = _kept(path)
        if found is not None and len(found) == len(data.x):
            return found
    parts = []
    for i in range(0, len(data.x), BATCH):
        samples = arrange_all(student, [array[i : i + BATCH] for array in data.inputs])
        parts.append(answer([np.ascontiguousarray(view(array)) for array in samples]))
        tell(i + len(parts[-1]))
    result = np.concatenate(parts).astype(np.float32)
    if path is not None:
        stream = io.BytesIO()
        np.save(stream, result, allow_pickle=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, stream.getvalue())
    return result


def _kept(path: Path) -> Array | None:
    """Answers in a file, unless it is not there or damaged: then they are worked out anew."""
    try:
        with path.open("rb") as stream:
            found: Array = np.lib.format.read_array(stream, allow_pickle=False)
    except (OSError, ValueError, MemoryError):  # the last where a header declares too much
        return None
    return found if found.ndim and found.dtype == np.float32 else None


def _answer_of(source: Any, student: Graph) -> tuple[Answer, str | None]:
    """A function that answers, and a name that is its own (None where nothing can tell)."""
    from smidgen.frontends import load

    if callable(source) and not isinstance(source, (Graph, nn.Module)) and not _is_keras(source):
        return _function(source, student), None
    graph = source if isinstance(source, Graph) else load(source)
    if len(graph.inputs) != len(student.inputs):
        raise UnsupportedModelError(
            f"a teacher with {len(graph.inputs)} inputs for a student with {len(student.inputs)}"
        )
    return (_integer(graph) if graph.is_quantized else _float(graph)), digest(graph)


def digest(graph: Graph) -> str:
    """Text that is equal for equal graphs with equal constants."""
    found = hashlib.sha256(str(graph).encode())
    for value in graph.values.values():
        if value.data is not None:
            found.update(np.ascontiguousarray(value.data).tobytes())
    return found.hexdigest()


def _is_keras(source: Any) -> bool:
    from smidgen.frontends.keras import is_keras_model

    return is_keras_model(source)


def _function(source: Callable[[Array], Any], student: Graph) -> Answer:
    def answer(inputs: Sequence[Array]) -> Array:
        given = [
            np.moveaxis(x, -1, 1) if name in student.channels_first else x
            for name, x in zip(student.inputs, inputs, strict=True)
        ]
        return np.asarray(source(*given), np.float32)

    return answer


def _float(graph: Graph) -> Answer:
    graph = simplify(graph)  # normalizations folded: a third less work
    module = GraphModule(graph).eval()
    raw, _ = raw_output(graph)

    def answer(inputs: Sequence[Array]) -> Array:
        shaped = (
            x.reshape(len(x), *type.shape[1:])
            for x, type in zip(inputs, graph.input_types, strict=True)
        )
        with torch.no_grad():
            return np.asarray(module.values(map(torch.from_numpy, shaped), [raw])[raw].numpy())

    return answer


def _integer(graph: Graph) -> Answer:
    from smidgen.evaluate import run

    _, link = raw_output(graph)

    def answer(inputs: Sequence[Array]) -> Array:
        given = [encode(type, x) for type, x in zip(graph.input_types, inputs, strict=True)]
        real = decode(graph.output_types[0], run(graph, given)[0])
        return np.log(np.maximum(real, _SMALLEST)) if link == "softmax" else real

    return answer


def _check_answers(answers: Array, student: Graph) -> None:
    output = student.output_types[0]
    if answers[0].size != output.size:
        raise DataError(
            f"answers of shape {answers.shape} for outputs of shape {output.shape}",
            where="teacher",
            hint="teach with a model of the same classes",
        )


# -- features ------------------------------------------------------------------------------------


class Features(nn.Module):
    """Values inside the student that are to become what the teacher has there.

    The last value at each image size is a pair. A linear map on the channels, trained along and
    then dropped, leads from the student's to the teacher's. Both are normalized for each sample,
    so that every pair weighs the same. Source: Romero et al., "FitNets" (2014).

    Args:
        student, teacher: float graphs with inputs of one shape.
    """

    def __init__(self, student: Graph, teacher: Graph) -> None:
        super().__init__()
        self.module = [GraphModule(teacher).eval()]  # in a list: not a part that trains
        self.pairs = list(pairs(student, teacher))
        sizes = [(student.type(a).shape[-1], teacher.type(b).shape[-1]) for a, b in self.pairs]
        self.maps = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in sizes)

    def loss(self, found: dict[str, Tensor], inputs: Sequence[Tensor]) -> Tensor:
        """Mean squared distance over all pairs, of the student's values by name."""
        with torch.no_grad():
            targets = self.module[0].values(inputs, [b for _, b in self.pairs])
        total = torch.zeros((), device=inputs[0].device)
        for (a, b), linear in zip(self.pairs, self.maps, strict=True):
            mine, other = (_normalized(t) for t in (linear(found[a]), targets[b]))
            total = total + torch.nn.functional.mse_loss(mine, other)
        return total / max(1, len(self.pairs))


def pairs(student: Graph, teacher: Graph) -> Iterator[tuple[str, str]]:
    """The last value of each image size that both graphs have, in order."""
    mine, others = _last_of_size(student), _last_of_size(teacher)
    for size, name in mine.items():
        if size in others:
            yield name, others[size]


def _last_of_size(graph: Graph) -> dict[tuple[int, ...], str]:
    found: dict[tuple[int, ...], str] = {}
    for node in graph.nodes:
        for name in node.outputs:
            type = graph.type(name)
            if type.rank == 4 and type.shape[1] * type.shape[2] > 1:
                found[type.shape[1:3]] = name
    return found


def _normalized(x: Tensor) -> Tensor:
    flat = x.flatten(1)
    length = flat.norm(dim=1, keepdim=True).clamp_min(1e-12)
    normalized: Tensor = flat / length * float(flat.shape[1] ** 0.5)
    return normalized
