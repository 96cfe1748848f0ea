"""What a layer's rule sees: its configuration, its weights, its operands and the graph so far."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.errors import ModelFileError, UnsupportedModelError
from smidgen.frontends.keras.spec import LayerSpec
from smidgen.frontends.lowering.site import Lowering
from smidgen.ir import GraphBuilder, TensorType
from smidgen.ops import get_op

Array = np.ndarray[Any, Any]

MAX_NODES = 20_000
MAX_ELEMENTS = 1 << 31
# Layers of these policies hold float32 (or float16) weights and mean the same in float32.
FLOAT_POLICIES = ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")


@dataclass
class Conversion:
    """The state of one conversion: the graph so far and the constants made for each layer."""

    builder: GraphBuilder
    keras2: bool
    nodes: int = 0
    channels_first: bool = False  # whether some layer is

    def __post_init__(self) -> None:
        self.constants: dict[tuple[int, str], str] = {}
        self.lowering = Lowering(self.builder)


class LayerSite:
    """One call of one layer.

    Args:
        conversion: the graph so far.
        spec: the layer.
        args: positional arguments: names of values, or numbers and arrays.
        path: the layer's name within the whole model, the same for every call.
        name: the name for this call's values.
    """

    def __init__(
        self, conversion: Conversion, spec: LayerSpec, args: list[Any], path: str, name: str
    ) -> None:
        self.conversion = conversion
        self.spec = spec
        self.args = args
        self.inputs: list[str] = [a for a in args if isinstance(a, str)]
        self.path = path
        self.name = name

    # -- the graph ------------------------------------------------------------------------------

    @property
    def input(self) -> str:
        """The only operand."""
        if len(self.inputs) != 1 or len(self.args) != 1:
            raise self.refuse(
                f"it is called with {len(self.inputs)} tensors and "
                f"{len(self.args) - len(self.inputs)} other arguments, not with 1 tensor"
            )
        return self.inputs[0]

    def type(self, value: str) -> TensorType:
        """The type of a value made so far."""
        return self.conversion.builder.type(value)

    def shape(self, value: str) -> tuple[int, ...]:
        """The shape of a value made so far, batch included."""
        return self.type(value).shape

    def image(self, dims: int = 2) -> str:
        """The only operand, which must be an image (batch, h, w, c), or (batch, length, c)."""
        value = self.input
        if len(self.shape(value)) != dims + 2:
            raise self.malformed(
                f"its input has shape {self.shape(value)}, of {dims + 2} dimensions"
            )
        return value

    def add(self, op: str, inputs: list[str | None], suffix: str = "", **attributes: Any) -> str:
        """Append an operator, by LiteRT name and attributes, and return its output."""
        self.conversion.nodes += 1
        if self.conversion.nodes > MAX_NODES:
            raise UnsupportedModelError(f"the model has over {MAX_NODES:,} operators")
        hint = f"{self.name}/{suffix}" if suffix else self.name
        operator = get_op(op)(**attributes)
        out = self.conversion.builder.add(operator, inputs, name=self.path, outputs=[hint])
        if math.prod(self.shape(out)) > MAX_ELEMENTS:
            raise self.malformed(f"its output has the shape {self.shape(out)}")
        return out

    @property
    def lowering(self) -> Lowering:
        """For the functions of `frontends.lowering`: what they append belongs to this layer."""
        at = self.conversion.lowering
        at.layer = self.name
        return at

    def reshape(self, value: str, shape: tuple[int, ...], suffix: str = "reshape") -> str:
        """The value under another shape, batch included; itself if it has that shape."""
        if self.shape(value) == shape:
            return value
        return self.add("RESHAPE", [value], suffix, new_shape=shape)

    def constant(self, role: str, make: Callable[[], Array]) -> str:
        """A constant of this layer, made once however often the layer is called."""
        key = (id(self.spec), role)
        if key not in self.conversion.constants:
            data = np.ascontiguousarray(make(), dtype=np.float32)
            name = self.conversion.builder.constant(data, name=f"{self.path}/{role}")
            self.conversion.constants[key] = name
        return self.conversion.constants[key]

    def weight(self, role: str, shape: tuple[int, ...]) -> Array:
        """The layer's weight, which must have `shape`."""
        array = self.spec.weights[role]
        if array.shape != shape:
            raise self.malformed(
                f"its {role} has shape {array.shape}, its configuration makes it {shape}"
            )
        return array

    # -- the configuration ------------------------------------------------------------------------

    def get(self, key: str, default: Any = None) -> Any:
        """A configuration value as it stands."""
        return self.spec.config.get(key, default)

    def number(self, key: str, default: float | None = None) -> float:
        """A configuration value that is one finite number."""
        array = self.array(key, default)
        if array.size != 1:
            raise self.malformed(f"its {key} is {self.get(key, default)!r}, not a number")
        return float(array.item())

    def array(self, key: str, default: Any = None) -> Array:
        """A configuration value of finite numbers, flat and in float32."""
        return self.numbers(f"its {key}", self.get(key, default)).ravel()

    def numbers(self, what: str, value: Any) -> Array:
        """Finite numbers in float32, however Keras spells them; `what` is for the message."""
        try:
            if isinstance(value, dict):  # a numpy array, as Keras 2 and 3 spell it
                value = value["value"] if "value" in value else value["config"]["value"]
            with np.errstate(over="ignore"):
                array = np.asarray(value, np.float64).astype(np.float32)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise self.malformed(f"{what} is {value!r:.80}, no numbers") from None
        if isinstance(value, (bool, str)) or not np.isfinite(array).all():
            raise self.malformed(f"{what} is {value!r:.80}, no finite numbers")
        return array

    def integer(self, key: str, default: int | None = None) -> int:
        """A configuration value that is one positive integer."""
        return self._positive(key, self.get(key, default))

    def integers(self, key: str, count: int, default: int | None = None) -> tuple[int, ...]:
        """A configuration value of `count` positive integers; a single one stands for all."""
        value = self.get(key)
        if value is None:
            value = default
        items = list(value) if isinstance(value, (list, tuple)) else [value] * count
        if len(items) != count:
            raise self.malformed(f"its {key} is {value!r}, not {count} integers")
        return tuple(self._positive(key, item) for item in items)

    def _positive(self, key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < MAX_ELEMENTS:
            raise self.malformed(f"its {key} holds {value!r}, not a positive integer")
        return int(value)

    def flag(self, key: str, default: bool) -> bool:
        """A configuration value that is true or false."""
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise self.malformed(f"its {key} is {value!r}, not true or false")
        return value

    def padding(self) -> str:
        """The padding as LiteRT spells it."""
        value = self.get("padding", "valid")
        if value not in ("same", "valid"):
            raise self.refuse(f"its padding is {value!r}", hint='use padding="same" or "valid"')
        return str(value).upper()

    def axis(self, rank: int, default: int = -1) -> int:
        """The configured axis, counted from 0, batch included."""
        value = self.get("axis", default)
        if isinstance(value, (list, tuple)) and len(value) == 1:
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int) or not -rank <= value < rank:
            raise self.refuse(f"its axis is {value!r} for an input of {rank} dimensions")
        return int(value) % rank

    # -- refusals ---------------------------------------------------------------------------------

    def refuse(self, why: str, hint: str | None = None) -> UnsupportedModelError:
        """The error to raise when Smidgen does not have this."""
        return UnsupportedModelError(why, where=self.spec.label, hint=hint)

    def malformed(self, why: str) -> ModelFileError:
        """The error to raise when the file contradicts itself."""
        return ModelFileError(why, where=self.spec.label, hint="save the model again")


def policy_name(dtype: Any) -> Any:
    """The name of a dtype or dtype policy as any version of Keras writes it, None if not given."""
    if isinstance(dtype, dict) and isinstance(dtype.get("config"), dict):
        config = dtype["config"]
        if "mode" in config:  # a quantized policy, which Keras names by its parts
            return f"{config['mode']}_from_{config.get('source_name')}"
        return config.get("name")
    return dtype


Build = Callable[[LayerSite], str]


@dataclass(frozen=True)
class Rule:
    """How one class of layer becomes operators.

    Args:
        build: appends the operators for one call and returns the name of the result.
        roles: the roles of the layer's weights in the order Keras creates them.
    """

    build: Build
    roles: Callable[[LayerSpec], tuple[str, ...]]


LAYERS: dict[str, Rule] = {}
OPERATIONS: dict[str, Rule] = {}


def no_weights(spec: LayerSpec) -> tuple[str, ...]:
    """The roles of a layer without weights."""
    return ()


def layer(
    *class_names: str, roles: Callable[[LayerSpec], tuple[str, ...]] = no_weights
) -> Callable[[Build], Build]:
    """Declare the rule for layers of these classes."""

    def declare(build: Build) -> Build:
        LAYERS.update(dict.fromkeys(class_names, Rule(build, roles)))
        return build

    return declare


def operation(*class_names: str) -> Callable[[Build], Build]:
    """Declare the rule for functions of `keras.ops` of these classes."""

    def declare(build: Build) -> Build:
        OPERATIONS.update(dict.fromkeys(class_names, Rule(build, no_weights)))
        return build

    return declare
