"""What a `.tflite` file tells before it runs: LiteRT computes from the file what we read off it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smidgen.errors import ModelFileError, SmidgenError, UnsupportedModelError
from smidgen.frontends.tflite import read
from smidgen.interpreter import interpret
from smidgen.schema import BuiltinOperator, Record, encode
from smidgen.schema import TensorType as FileType
from smidgen.verify.runtimes import RuntimePool

Array = np.ndarray[Any, Any]
_TYPES = {"float32": FileType.FLOAT32, "float16": FileType.FLOAT16, "int32": FileType.INT32}


class File:
    """A model in the making: x, float32 (1, 4, 6), goes in."""

    def __init__(self) -> None:
        self.tensors: list[Record] = []
        self.buffers: list[Record] = [{}]
        self.operators: list[Record] = []
        self.codes: list[Record] = []
        self.x = self.tensor((1, 4, 6))

    def tensor(self, shape: tuple[int, ...], dtype: str = "float32") -> int:
        self.tensors.append({"shape": shape, "type": _TYPES[dtype]})
        return len(self.tensors) - 1

    def constant(self, values: Any, dtype: str = "int32", shape: Any = None) -> int:
        array = np.array(values, dtype)
        index = self.tensor(array.shape if shape is None else shape, dtype)
        self.tensors[index]["buffer"] = len(self.buffers)
        self.buffers.append({"data": array.ravel().view(np.uint8)})
        return index

    def add(
        self, name: str, inputs: list[int], shape: tuple[int, ...], dtype: str = "float32",
        options: tuple[str, Record] | None = None,
    ) -> int:  # fmt: skip
        output = self.tensor(shape, dtype)
        code = BuiltinOperator[name]
        self.codes.append(
            {"builtin_code": code, "deprecated_builtin_code": min(code, 127), "version": 1}
        )
        record: Record = {"opcode_index": len(self.codes) - 1, "inputs": inputs}
        record |= {"outputs": [output], "builtin_options": options}
        self.operators.append(record)
        return output

    def bytes(self, outputs: list[int]) -> bytes:
        subgraph = {"tensors": self.tensors, "operators": self.operators}
        subgraph |= {"inputs": [self.x], "outputs": outputs}
        return encode(
            {"version": 3, "operator_codes": self.codes, "subgraphs": [subgraph],
             "buffers": self.buffers}
        )  # fmt: skip


def computed_shape(file: File, rest: list[int]) -> int:
    """What TensorFlow writes for `tf.reshape(x, [tf.shape(x)[0], *rest])`."""
    shape = file.add("SHAPE", [file.x], (3,), "int32", ("ShapeOptions", {"out_type": 2}))
    ends = [file.constant([n]) for n in (0, 1, 1)]
    options = ("StridedSliceOptions", {"shrink_axis_mask": 1})
    first = file.add("STRIDED_SLICE", [shape, *ends], (), "int32", options)
    sizes = [first, *(file.constant(n) for n in rest)]
    packing = ("PackOptions", {"values_count": len(sizes), "axis": 0})
    return file.add("PACK", sizes, (len(sizes),), "int32", packing)


def reshaped(file: File) -> int:
    return file.add("RESHAPE", [file.x, computed_shape(file, [3, 8])], (1, 3, 8))


def filled(file: File) -> int:
    shape = computed_shape(file, [4, 6])
    full = file.add("FILL", [shape, file.constant(2.5, "float32")], (1, 4, 6))
    return file.add("ADD", [file.x, full], (1, 4, 6), options=("AddOptions", {}))


def zeros(file: File) -> int:
    zero = file.add("ZEROS_LIKE", [file.x], (1, 4, 6), options=("ZerosLikeOptions", {}))
    return file.add("MAXIMUM", [file.x, zero], (1, 4, 6), options=("MaximumMinimumOptions", {}))


def counted(file: File) -> int:
    ends = [file.constant(n) for n in (5, -1, -2)]
    chosen = file.add("RANGE", ends, (3,), "int32")
    gathering = ("GatherOptions", {"axis": 2, "batch_dims": 0})
    return file.add("GATHER", [file.x, chosen], (1, 4, 3), options=gathering)


def ranked(file: File) -> int:
    rank = file.add("RANK", [file.x], (), "int32", ("RankOptions", {}))
    packing = ("PackOptions", {"values_count": 2, "axis": 0})
    shape = file.add("PACK", [rank, file.constant(8)], (2,), "int32", packing)
    return file.add("RESHAPE", [file.x, shape], (3, 8))


def halves(file: File) -> int:
    values = np.random.default_rng(0).normal(0, 1, (4, 6))
    half = file.constant(values, "float16")
    whole = file.add("DEQUANTIZE", [half], (4, 6))
    return file.add("MUL", [file.x, whole], (1, 4, 6), options=("MulOptions", {}))


@pytest.mark.oracle
@pytest.mark.parametrize("make", [reshaped, filled, zeros, counted, ranked, halves])
def test_litert_computes_the_same(make: Any, pool: RuntimePool) -> None:
    file = File()
    data = file.bytes([make(file)])
    graph = read(data)
    assert len(graph.nodes) == 1
    x = np.random.default_rng(1).normal(0, 1, (3, 4, 6)).astype(np.float32)
    inputs = [x[i : i + 1] for i in range(3)]
    for single in inputs:
        (want,) = pool.run("litert_ref", data, [single]).outputs
        np.testing.assert_allclose(interpret(graph, [single])[0], want, rtol=1e-6)


def test_float16_constants_become_float32() -> None:
    file = File()
    graph = read(file.bytes([halves(file)]))
    (node,) = graph.nodes
    constant = graph.type(node.inputs[1] or "")
    assert constant.dtype == "float32"


def test_an_output_of_the_model_stays_to_be_computed() -> None:
    file = File()
    values = file.constant(np.ones((1, 2)), "float16")
    out = file.add("DEQUANTIZE", [values], (1, 2))
    graph = read(file.bytes([out, reshaped(file)]))
    assert [node.op.name for node in graph.nodes] == ["DEQUANTIZE", "RESHAPE"]


def bad_fill(file: File) -> int:
    full = file.add("FILL", [file.constant([4, 7]), file.constant(0.0, "float32")], (4, 6))
    return file.add("ADD", [file.x, full], (1, 4, 6), options=("AddOptions", {}))


def bad_shape(file: File) -> int:
    shape = file.add("SHAPE", [file.x], (4,), "int32", ("ShapeOptions", {"out_type": 2}))
    return file.add("RESHAPE", [file.x, shape], (1, 4, 6))


def endless(file: File) -> int:
    ends = [file.constant(n) for n in (0, 4, 0)]
    chosen = file.add("RANGE", ends, (4,), "int32")
    return file.add("GATHER", [file.x, chosen], (1, 4, 4), options=("GatherOptions", {"axis": 2}))


def huge(file: File) -> int:
    last = file.x
    for _ in range(3):
        dims = file.constant([1, 4, 6_000_000])
        last = file.add("FILL", [dims, file.constant(0.0, "float32")], (1, 4, 6_000_000))
    return file.add("RESHAPE", [last], (4, 6_000_000))


def no_value(file: File) -> int:
    value = file.add("RESHAPE", [file.x], (24,))
    full = file.add("FILL", [file.constant([4, 6]), value], (4, 6))
    return file.add("ADD", [file.x, full], (1, 4, 6), options=("AddOptions", {}))


def unknown_shape(file: File) -> int:
    dims = file.add("RESHAPE", [file.constant([2, 3])], (2,), "int32")
    file.operators.pop()
    full = file.add("FILL", [dims, file.constant(0.0, "float32")], (2, 3))
    return file.add("RESHAPE", [full], (6,))


REFUSED: dict[str, tuple[Any, type[SmidgenError], str]] = {
    "a shape that the file does not say": (bad_fill, ModelFileError, r"FILL.*makes \[4, 7\]"),
    "a shape of another rank": (bad_shape, ModelFileError, r"SHAPE.*computes int32\[3\]"),
    "steps of nothing": (endless, ModelFileError, "RANGE.*0 to 4 by 0"),
    "hundreds of megabytes": (huge, ModelFileError, "more than 256 MB in all"),
    "a value of the run": (no_value, UnsupportedModelError, "FILL.*computed at run time"),
    "an operand from nowhere": (unknown_shape, ModelFileError, "read before it is computed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_contradicts_itself_is_refused(case: str) -> None:
    make, error, says = REFUSED[case]
    file = File()
    with pytest.raises(error, match=says):
        read(file.bytes([make(file)]))


def test_constant_indices_of_64_bits_become_int32() -> None:
    file = File()
    at = np.array([5, 0, 2], np.int64)
    index = file.constant(at.view(np.int32), shape=(3,))
    file.tensors[index]["type"] = FileType.INT64
    options = ("GatherOptions", {"axis": 2, "batch_dims": 0})
    graph = read(file.bytes([file.add("GATHER", [file.x, index], (1, 4, 3), options=options)]))
    (node,) = graph.nodes
    assert graph.type(node.inputs[1] or "").dtype == "int32"
    x = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    np.testing.assert_array_equal(interpret(graph, [x])[0], x[:, :, at])
