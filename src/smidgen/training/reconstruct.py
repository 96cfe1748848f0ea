"""Reconstruction: an integer model learns to say what its float self says, from samples alone.

Weights start where post-training quantization rounded them. Then block after block, fed by the
integer blocks before it, and at last the whole network, learns which way to round, in which steps
and with which biases, so that its results err least from the float network's. A float weight stays
behind each integer, and gradients pass through rounding to it; it is counted in its own steps.

Sources: Nagel et al., "Up or down? Adaptive rounding for post-training quantization" (2020); Li et
al., "BRECQ: pushing the limit of post-training quantization by block reconstruction" (2021). The
whole network at the end is what their regularizers spare themselves; it is worth most.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from smidgen.data import Dataset, decode, encode
from smidgen.errors import RecipeError
from smidgen.evaluate import run
from smidgen.ir import Graph, Node
from smidgen.ops import Role
from smidgen.training import checkpoint as checkpoints
from smidgen.training.augment import Augment, get_augment, mirror
from smidgen.training.blocks import Block, blocks
from smidgen.training.loop import use_threads
from smidgen.training.losses import distillation, raw_output
from smidgen.training.module import GraphModule
from smidgen.training.simulate import Simulation
from smidgen.transforms.quantize import (
    CALIBRATION_SAMPLES,
    PostTraining,
    Recipe,
    draw,
    post_training,
)
from smidgen.transforms.quantize.plan import rule_of

Array = np.ndarray[Any, Any]
Tensor = torch.Tensor
Values = dict[str, Tensor]

BATCH = 32
# Of the optimizer: parts of a weight's step, of a result's step for biases, of a step itself.
WEIGHT_RATE, BIAS_RATE, STEP_RATE = 5e-3, 1e-2, 1e-3
SAVE_SECONDS = 30.0
CHECKED = 256  # samples beside those learned from, which say whether learning was worth it
_RUN = 128  # samples that run at once where nothing is learned


def reconstruct(
    model: Graph,
    data: Dataset | Array | Sequence[Array],
    recipe: str | Recipe = "int4",
    *,
    samples: int = 1024,
    steps: int = 400,
    block_steps: int = 100,
    augment: Any = "auto",
    seed: int = 0,
    threads: int | None = None,
    checkpoint: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Graph:
    """Quantize a float model, then let the integer model learn the float model's answers.

    It takes no labels, about a thousand samples, and minutes. It is worth them where `quantize`
    loses, which is with int4 weights. Where it errs more on samples that it did not learn from, the
    result is that of `quantize`.

    Args:
        model: any float graph whose operators train.
        data: training samples, as `quantize` takes them; labels and test samples are not read.
        recipe: a preset's name or a `Recipe`, as `quantize` takes it.
        samples: how many to learn from, drawn at random; some more are only looked at in the end.
        steps: of the whole network, on batches of 32.
        block_steps: of each block before that.
        augment: what the whole network sees: "auto" (square colour images are mirrored), "none"
            or another of `finetune`'s.
        seed: of every draw.
        threads: of torch.
        checkpoint: file that lets an interrupted run go on.
        progress: called with (steps done, steps to do).

    Returns:
        The integer graph.

    Raises:
        RecipeError: if a setting or the recipe is unknown or does not fit.
        DataError: if the samples do not fit, or the checkpoint is another run's.

    Example:
        >>> int4 = reconstruct(model, data, "int4", steps=20, block_steps=5)
        >>> int4.is_quantized
        True
    """
    for name, value in (("steps", steps), ("block_steps", block_steps)):
        if value < 0:
            raise RecipeError(f"{name} is {value}", hint="give a number from 0")
    few = min(samples, CALIBRATION_SAMPLES)
    start = post_training(model, data, recipe, samples=few, seed=seed)
    arrays = draw(start.graph, data, samples + CHECKED, seed)
    unseen = [array[samples:] if len(array) > samples else array for array in arrays]
    arrays = [array[:samples] for array in arrays]
    chosen = get_augment(augment, start.graph.input_types)
    if augment == "auto" and chosen is not None:
        chosen = mirror  # the float network knows no better what a shift uncovers
    with use_threads(threads):
        learner = _Learner(start, arrays, chosen, seed)
        learner.run(steps, block_steps, Path(checkpoint) if checkpoint else None, progress)
    learned = learner.simulation.to_graph()
    before, after = (_error(graph, start.graph, unseen) for graph in (start.integer, learned))
    return learned if after < before else start.integer


class _Learner:
    """The integer network as it learns, beside the float one.

    Args:
        start: what post-training quantization found.
        arrays: samples in the graph's layout, one array (n, ...) for each input.
        augment: of what the whole network sees, or None.
        seed: of every draw.
    """

    def __init__(
        self, start: PostTraining, arrays: list[Array], augment: Augment | None, seed: int
    ) -> None:
        self.graph = graph = start.graph
        self.simulation = Simulation(start)
        self.integer, self.real = self.simulation.module.eval(), GraphModule(graph).eval()
        self.samples = dict(zip(graph.inputs, map(torch.from_numpy, arrays), strict=True))
        self.count = len(arrays[0])
        self.augment, self.seed = augment, seed
        for ends in (*self.simulation.made.values(), *self.simulation.tied.values()):
            ends.requires_grad_(False)  # what calibration found stays
        # What a softmax makes of its operand is compared as what it is: a distribution.
        raw = (raw_output(graph, i) for i in range(len(graph.outputs)))
        self.raw = dict(zip(graph.outputs, raw, strict=True))

    def run(
        self,
        steps: int,
        block_steps: int,
        path: Path | None,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        """Learn block after block, then the whole network."""
        parts = blocks(self.graph, lambda node: bool(self._learned([node])))
        whole = Block(self.graph.nodes, self.graph.inputs, self.graph.outputs)
        stages = [(part, block_steps) for part in parts if len(parts) > 1 and block_steps]
        stages += [(whole, steps)] if parts else []
        self.done, self.total = 0, sum(count for _, count in stages)
        self.path, self.progress, self.saved = path, progress, time.monotonic()
        self.fingerprint = self._fingerprint(steps, block_steps)
        state = None if path is None else checkpoints.restore(path, self.fingerprint)
        if state is not None:
            self.integer.load_state_dict(state["module"])
        reached = 0 if state is None else state["stage"]
        given = real = self.samples
        for stage, (block, count) in enumerate(stages):
            if block is whole:
                given, wanted = self.samples, None
            elif reached < len(stages) - 1:  # the whole network needs nothing of the blocks
                results = dict.fromkeys((*block.results, *self._compared(block)))
                wanted = _all(self.real, real, results)
                real = {name: wanted[name] for name in block.results}
            if stage >= reached:
                self._learn(stage, block, given, wanted, count, state)
                state = None
            else:
                self.done += count
            if block is not whole and reached < len(stages) - 1:
                given = _all(self.integer, given, block.results)

    def _learn(
        self,
        stage: int,
        block: Block,
        given: Values,
        wanted: Values | None,
        count: int,
        state: dict[str, Any] | None,
    ) -> None:
        """Learn one block, from what it is given and what is wanted of it.

        Without the latter the float network is asked about every batch.
        """
        groups = self._learned(block.nodes)
        optimizer = torch.optim.Adam(groups)
        rates = [group["lr"] for group in optimizer.param_groups]
        compared = self._compared(block)
        power = None if wanted is None else {n: _power(wanted[n]) for n in compared}
        first = 0
        if state is not None and state["stage"] == stage:
            first, rates = state["step"], state["rates"]
            optimizer.load_state_dict(state["optimizer"])
        self.done += first
        for step in range(first, count):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * (1 + math.cos(math.pi * step / count)) / 2
            rng = np.random.default_rng((self.seed, stage, step))
            rows = torch.from_numpy(rng.permutation(self.count)[:BATCH])
            inputs = {name: values[rows] for name, values in given.items()}
            if wanted is None:
                inputs = self._augmented(inputs, rng)
                with torch.no_grad():
                    targets = self.real.between(inputs, compared)
            else:
                targets = {name: wanted[name][rows] for name in compared}
            found = self.integer.between(inputs, compared)
            losses = [
                self._loss(name, found[name], target, None if power is None else power[name])
                for name, target in targets.items()
            ]
            optimizer.zero_grad()
            torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            self.done += 1
            if self.path is not None and self._due(step + 1 == count):
                kept = {
                    "stage": stage, "step": step + 1, "rates": rates,
                    "module": self.integer.state_dict(), "optimizer": optimizer.state_dict(),
                }  # fmt: skip
                checkpoints.save(self.path, kept, self.fingerprint)
            if self.progress is not None:
                self.progress(self.done, self.total)

    def _learned(self, nodes: Iterable[Node]) -> list[dict[str, Any]]:
        """What is learned of some nodes, with rates that suit it: groups for an optimizer."""
        rates: dict[torch.nn.Parameter, float] = {}
        for node in nodes:
            if node.outputs[0] not in self.simulation.plan.nodes:
                continue
            for i, role in enumerate(rule_of(self.graph, node).roles):
                name = node.inputs[i] if i < len(node.inputs) else None
                if name is None or role not in (Role.WEIGHT, Role.BIAS):
                    continue
                if role is Role.WEIGHT:
                    hook = self.simulation.weights[node.outputs[0], i]
                    rates[hook.by] = STEP_RATE
                    rate, size = WEIGHT_RATE, hook.steps().detach().mean()
                else:
                    made = self.simulation.made[node.outputs[0]].params()
                    rate, size = BIAS_RATE, torch.tensor(made.scale)
                constant = getattr(self.integer, self.integer.keys[name])
                rates[constant] = rate * float(size / self.simulation.units[name].mean())
        return [{"params": [p], "lr": rate} for p, rate in rates.items()]

    def _compared(self, block: Block) -> list[str]:
        """The values by which a block is judged."""
        return [self.raw[name][0] if name in self.raw else name for name in block.results]

    def _loss(self, name: str, found: Tensor, wanted: Tensor, power: Tensor | None) -> Tensor:
        """How far a value is from the float network's: a part of its power, or a divergence."""
        if (name, "softmax") in self.raw.values():
            return distillation(found.flatten(1), wanted.flatten(1), 1.0)
        return functional.mse_loss(found, wanted) / (_power(wanted) if power is None else power)

    def _augmented(self, inputs: Values, rng: np.random.Generator) -> Values:
        if self.augment is None:
            return inputs
        x = [tensor.numpy() for tensor in inputs.values()]
        x = [self.augment(x[0], rng)] if len(x) == 1 else self.augment(x, rng)
        tensors = (torch.from_numpy(np.ascontiguousarray(array)) for array in x)
        return dict(zip(inputs, tensors, strict=True))

    def _due(self, ends: bool) -> bool:
        """Whether it is time for a checkpoint."""
        if not ends and time.monotonic() - self.saved < SAVE_SECONDS:
            return False
        self.saved = time.monotonic()
        return True

    def _fingerprint(self, steps: int, block_steps: int) -> str:
        """Of all that decides the result."""
        start, digest = self.simulation.start, hashlib.sha256()
        constants = [v.data for v in start.integer.values.values() if v.data is not None]
        for array in (*(x.numpy() for x in self.samples.values()), *constants):
            digest.update(np.ascontiguousarray(array).tobytes())
        augment = getattr(self.augment, "__qualname__", repr(self.augment))
        settings = (steps, block_steps, augment, self.seed)
        return f"reconstruct {start.integer} {start.recipe} {settings} {digest.hexdigest()}"


def _error(integer: Graph, real: Graph, arrays: list[Array]) -> float:
    """How far an integer graph's outputs are from the float graph's: parts of their power."""
    total = 0.0
    outputs = run(integer, [encode(t, a) for t, a in zip(integer.input_types, arrays, strict=True)])
    for type, found, wanted in zip(integer.output_types, outputs, run(real, arrays), strict=True):
        power = float(np.square(wanted, dtype=np.float64).mean())
        error = decode(type, found) - wanted
        total += float(np.square(error, dtype=np.float64).mean()) / max(power, 1e-12)
    return total


def _all(module: GraphModule, given: Values, wanted: Iterable[str]) -> Values:
    """Values of all samples, a few at a time."""
    names, count = list(wanted), len(next(iter(given.values())))
    parts = []
    with torch.no_grad():
        for i in range(0, count, _RUN):
            few = {name: values[i : i + _RUN] for name, values in given.items()}
            parts.append(module.between(few, names))
    return {name: torch.cat([part[name] for part in parts]) for name in names}


def _power(values: Tensor) -> Tensor:
    """The mean square, so that losses are parts of it."""
    return values.square().mean().clamp_min(1e-12)
