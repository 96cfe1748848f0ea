"""What the user asks for: which operators, in which scope, quantized how."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from smidgen.errors import RecipeError
from smidgen.ir import Node

OBSERVERS = ("min-max", "percentile", "mse", "entropy")
GRANULARITIES = ("per-channel", "per-tensor")
DTYPES = ("int8", "float32")


@dataclass(frozen=True)
class Rule:
    """Quantize `operator` under `scope` like this.

    Args:
        scope: pattern on layer names, such as "head/*"; `*` and `?` as in file names.
        operator: LiteRT name such as "CONV_2D", or "*".
        dtype: "int8", or "float32" to leave these nodes alone.
        observer: how the range of an output is found: "min-max", "percentile" (of the values),
            "mse" (least squared error) or "entropy" (least information lost).
        weights: "per-channel" or "per-tensor" scales.

    Raises:
        RecipeError: for a word that is not one of these.
    """

    scope: str = "*"
    operator: str = "*"
    dtype: str = "int8"
    observer: str = "min-max"
    weights: str = "per-channel"

    def __post_init__(self) -> None:
        for field, value, known in (
            ("dtype", self.dtype, DTYPES),
            ("observer", self.observer, OBSERVERS),
            ("weights", self.weights, GRANULARITIES),
        ):
            if value not in known:
                raise RecipeError(
                    f"{field} {value!r}", where="recipe", hint=f"use one of {', '.join(known)}"
                )

    def matches(self, node: Node) -> bool:
        """Whether the rule applies to a node."""
        names = (node.name, *node.outputs)
        in_scope = any(fnmatchcase(name, self.scope) for name in names)
        return in_scope and fnmatchcase(node.op.name, self.operator)


@dataclass(frozen=True)
class Recipe:
    """Rules (the last one that matches a node wins) and what is done around them.

    Args:
        rules: in order; nodes that no rule matches stay float.
        equalize: balance the channels' weight ranges across layers first.
        correct_bias: move the mean error of each layer into its bias afterwards.
        float_io: keep float32 inputs and outputs, with QUANTIZE and DEQUANTIZE inside.

    Example:
        >>> recipe = Recipe((Rule(), Rule(scope="head*", dtype="float32")))
        >>> get_recipe(recipe) is recipe
        True
    """

    rules: tuple[Rule, ...] = (Rule(),)
    equalize: bool = False
    correct_bias: bool = False
    float_io: bool = False

    def rule(self, node: Node) -> Rule:
        """The rule that applies to a node."""
        matching = [r for r in self.rules if r.matches(node)]
        return matching[-1] if matching else Rule(dtype="float32")


PRESETS: dict[str, Recipe] = {
    "int8": Recipe(correct_bias=True),
    "int8-plain": Recipe(),
    "int8-percentile": Recipe((Rule(observer="percentile"),), correct_bias=True),
    "int8-mse": Recipe((Rule(observer="mse"),), correct_bias=True),
    "int8-entropy": Recipe((Rule(observer="entropy"),), correct_bias=True),
    "int8-equalized": Recipe(equalize=True, correct_bias=True),
    "int8-float-io": Recipe(correct_bias=True, float_io=True),
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
