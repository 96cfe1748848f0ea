"""What the user asks for: which operators, in which scope, quantized how."""

from __future__ import annotations

import dataclasses
import glob
from dataclasses import dataclass
from fnmatch import fnmatchcase

from smidgen.errors import RecipeError
from smidgen.ir import Graph, Node
from smidgen.ops import all_ops
from smidgen.transforms.quantize.ends import first_layers, last_layers
from smidgen.transforms.quantize.observers import OBSERVERS

GRANULARITIES = ("auto", "per-channel", "per-tensor")
DTYPES = ("int8", "int16", "float32")
WEIGHT_DTYPES = ("int8", "int4")
ENDS = {"<first>": first_layers, "<last>": last_layers}
"""Scopes that no name can fit: the first and the last layers with weights."""


@dataclass(frozen=True)
class Rule:
    """Quantize `operator` under `scope` like this.

    Args:
        scope: pattern on names of layers and their results, such as "head/*"; `*` and `?` as in
            file names. "<first>" and "<last>" are the first and the last layers with weights.
        operator: pattern on LiteRT names, such as "CONV_2D" or "*".
        dtype: of the activations, "int8" or "int16" (one of them in a recipe), or "float32" to
            leave these nodes alone.
        observer: how the range of a result is found: "min-max", "percentile" (99.99 % of the
            values at each end), "mse" (least squared error) or "entropy" (least information lost).
            int16 has levels to spare and takes all that was seen.
        weights: "per-channel" or "per-tensor" scales, or "auto": a scale for each channel where
            the operator gains by it or the channels differ a lot, one for all otherwise.
        weight_dtype: "int8", or "int4" where the operator can have such weights.

    Raises:
        RecipeError: for a word that is not one of these.

    Example:
        >>> Rule(scope="head*", dtype="float32").observer
        'mse'
    """

    scope: str = "*"
    operator: str = "*"
    dtype: str = "int8"
    observer: str = "mse"
    weights: str = "auto"
    weight_dtype: str = "int8"

    def __post_init__(self) -> None:
        for field, value, known in (
            ("dtype", self.dtype, DTYPES),
            ("observer", self.observer, tuple(OBSERVERS)),
            ("weights", self.weights, GRANULARITIES),
            ("weight_dtype", self.weight_dtype, WEIGHT_DTYPES),
        ):
            if value not in known:
                raise RecipeError(
                    f"{field} {value!r}", where="recipe", hint=f"use one of {', '.join(known)}"
                )
        if not any(fnmatchcase(name, self.operator) for name in all_ops()):
            raise RecipeError(
                f"operator {self.operator!r} matches none",
                where="recipe",
                hint=f"use one of {', '.join(all_ops())}",
            )

    def matches(self, node: Node) -> bool:
        """Whether the rule applies to a node."""
        return self.in_scope(node) and fnmatchcase(node.op.name, self.operator)

    def in_scope(self, node: Node) -> bool:
        """Whether the node's name, or that of a result, fits the pattern."""
        return any(fnmatchcase(name, self.scope) for name in (node.name, *node.outputs))


@dataclass(frozen=True)
class Recipe:
    """Rules (the last one that matches a node wins) and what is done around them.

    Args:
        rules: in order; nodes that no rule matches stay float.
        equalize: balance the channels' weight ranges across layers first.
        fit_weights: round int4 weights so that the layers' sums err least on samples.
        correct_bias: move the mean error of each layer into its bias afterwards.
        float_io: keep float32 inputs and outputs, with QUANTIZE and DEQUANTIZE inside.

    Example:
        >>> recipe = Recipe((Rule(), Rule(scope="head*", dtype="float32")))
        >>> get_recipe(recipe) is recipe
        True
    """

    rules: tuple[Rule, ...] = (Rule(),)
    equalize: bool = False
    fit_weights: bool = True
    correct_bias: bool = True
    float_io: bool = False

    def __post_init__(self) -> None:
        integers = {rule.dtype for rule in self.rules} - {"float32"}
        if len(integers) > 1:
            raise RecipeError(
                "int8 and int16 activations in one recipe",
                where="recipe",
                hint="use one of them, and float32 beside it where needed",
            )

    @property
    def activations(self) -> str:
        """The element type of the activations that are quantized."""
        return "int16" if any(rule.dtype == "int16" for rule in self.rules) else "int8"

    def observer(self, node: Node) -> str:
        """How the ranges of a node's results are found."""
        return "min-max" if self.activations == "int16" else self.rule(node).observer

    def rule(self, node: Node) -> Rule:
        """The rule that applies to a node."""
        matching = [r for r in self.rules if r.matches(node)]
        return matching[-1] if matching else Rule(dtype="float32")

    def for_graph(self, graph: Graph) -> Recipe:
        """The recipe with the layers' names instead of "<first>" and "<last>"."""
        rules: list[Rule] = []
        for rule in self.rules:
            layers = ENDS[rule.scope](graph) if rule.scope in ENDS else None
            names = [rule.scope] if layers is None else [glob.escape(n.outputs[0]) for n in layers]
            rules += [dataclasses.replace(rule, scope=name) for name in names]
        return dataclasses.replace(self, rules=tuple(rules))

    def check(self, graph: Graph) -> None:
        """Refuse a scope that is no part of the graph: it is a slip of the pen.

        Raises:
            RecipeError: naming the scope and what there is.
        """
        for rule in self.rules:
            if graph.nodes and not any(rule.in_scope(node) for node in graph.nodes):
                names = list(dict.fromkeys(node.name or node.outputs[0] for node in graph.nodes))
                more = ", ..." if len(names) > 10 else ""
                raise RecipeError(
                    f"scope {rule.scope!r} fits no layer",
                    where="recipe",
                    hint=f"the layers are {', '.join(names[:10])}{more}",
                )


def _everything(observer: str = "mse", **fields: str) -> tuple[Rule, ...]:
    return (Rule(observer=observer, **fields),)


PRESETS: dict[str, Recipe] = {
    "int8": Recipe(),
    "int8-plain": Recipe(_everything("min-max"), correct_bias=False),
    "int8-min-max": Recipe(_everything("min-max")),
    "int8-percentile": Recipe(_everything("percentile")),
    "int8-mse": Recipe(_everything("mse")),
    "int8-entropy": Recipe(_everything("entropy")),
    "int8-equalized": Recipe(equalize=True),
    "int8-per-channel": Recipe(_everything(weights="per-channel")),
    "int8-float-io": Recipe(float_io=True),
    "int16x8": Recipe((Rule(dtype="int16", weights="per-channel"),)),
    "int4": Recipe((Rule(weight_dtype="int4"), Rule(scope="<first>"), Rule(scope="<last>"))),
}


def get_recipe(recipe: str | Recipe) -> Recipe:
    """A recipe by its preset name, or the recipe itself.

    Raises:
        RecipeError: listing the presets.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if recipe not in PRESETS:
        raise RecipeError(f"no recipe {recipe!r}", hint=f"use one of {', '.join(PRESETS)}")
    return PRESETS[recipe]
