"""ONNX models of a few nodes, made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def make(
    nodes: Sequence[Any],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Sequence[str],
    constants: Mapping[str, Array] | None = None,
    *,
    opset: int = 17,
    dtypes: Mapping[str, int] | None = None,
    functions: Sequence[Any] = (),
    domains: Sequence[str] = (),
) -> Any:
    """A ModelProto; tensors are float32 unless `dtypes` says otherwise."""
    from onnx import TensorProto, helper, numpy_helper

    kinds = dtypes or {}

    def info(name: str, shape: Sequence[int | str] | None) -> Any:
        return helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), shape)

    graph = helper.make_graph(
        list(nodes),
        "small",
        [info(name, shape) for name, shape in inputs.items()],
        [info(name, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=list(functions))


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    """A NodeProto; names of operands and results apart by spaces, "-" for one left out."""
    from onnx import helper

    operands = ["" if name == "-" else name for name in inputs.split()]
    results = outputs.split()
    return helper.make_node(op, operands, results, name=f"{op}_{results[0]}", **attributes)


class Quantized:
    """A model under construction in which every operator is surrounded by Q and DQ pairs."""

    def __init__(self, seed: int, dtype: type = np.uint8) -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self.inputs: dict[str, Sequence[int]] = {}

    def input(self, name: str, *shape: int) -> str:
        """An input, quantized and dequantized."""
        self.inputs[name] = shape
        return self.pair(name, 0.05, 3)

    def pair(self, name: str, scale: float, zero_point: int) -> str:
        """QuantizeLinear and DequantizeLinear of a value; the zero point counts from the middle."""
        middle = 128 if self.dtype is np.uint8 else 0
        self.constants[f"{name}_scale"] = np.array(scale, np.float32)
        self.constants[f"{name}_zero"] = np.array(zero_point + middle, self.dtype)
        params = f"{name}_scale {name}_zero"
        self.nodes.append(node("QuantizeLinear", f"{name} {params}", f"{name}_q"))
        self.nodes.append(node("DequantizeLinear", f"{name}_q {params}", f"{name}_dq"))
        return f"{name}_dq"

    def weights(self, name: str, *shape: int, axis: int | None = None) -> str:
        """Constant int8 weights, dequantized, with a scale for each position of an axis."""
        self.constants[f"{name}_q"] = self.rng.integers(-127, 128, shape, np.int8)
        count = () if axis is None else (shape[axis],)
        self.constants[f"{name}_scale"] = self.rng.uniform(0.002, 0.02, count).astype(np.float32)
        self.constants[f"{name}_zero"] = np.zeros(count, np.int8)
        keywords = {} if axis is None else {"axis": axis}
        inputs = f"{name}_q {name}_scale {name}_zero"
        self.nodes.append(node("DequantizeLinear", inputs, name, **keywords))
        return name

    def floats(self, name: str, *shape: int) -> str:
        """A constant in float, such as a bias."""
        self.constants[name] = self.rng.normal(0, 0.5, shape).astype(np.float32)
        return name

    def add(self, op: str, inputs: str, output: str, **attributes: Any) -> str:
        """An operator in float."""
        self.nodes.append(node(op, inputs, output, **attributes))
        return output

    def model(self, output: str) -> Any:
        """The model, whose output is in float."""
        return make(self.nodes, self.inputs, [output], self.constants)
