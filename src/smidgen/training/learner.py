"""What `reconstruct` runs: an integer network as it learns, beside the float one."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from smidgen.ir import Node
from smidgen.ops import Role
from smidgen.training import checkpoint as checkpoints
from smidgen.training.augment import Augment
from smidgen.training.blocks import Block, blocks
from smidgen.training.losses import distillation, raw_output
from smidgen.training.module import GraphModule
from smidgen.training.simulate import Simulation
from smidgen.transforms.quantize import PostTraining
from smidgen.transforms.quantize.plan import rule_of

Array = np.ndarray[Any, Any]
Tensor = torch.Tensor
Values = dict[str, Tensor]

BATCH = 32
# Of the optimizer: parts of a weight's step, of a result's step for biases, of a step itself.
WEIGHT_RATE, BIAS_RATE, STEP_RATE = 5e-3, 1e-2, 1e-3
SAVE_SECONDS = 30.0
_RUN = 128  # samples that run at once where nothing is learned


class Learner:
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
