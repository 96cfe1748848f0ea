"""One change at a time that makes a valid `.tflite` file one to be refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from smidgen.errors import ModelFileError, SmidgenError, UnsupportedModelError
from smidgen.frontends.tflite import read
from smidgen.schema import ActivationFunctionType, BuiltinOperator, Record, encode
from smidgen.schema import TensorType as FileType
from tests.frontends.tflite.small import operator, small, tensor


def change(path: str, value: object) -> Callable[[Record], None]:
    """Return what sets one field, such as ``tensors.3.shape``, of the small model's subgraph."""

    def apply(model: Record) -> None:
        *parents, last = path.split(".")
        place = model if parents[:1] == ["buffers"] else model["subgraphs"][0]
        for key in parents:
            place = place[int(key) if key.isdigit() else key]
        place[int(last) if last.isdigit() else last] = value

    return apply


def both(*changes: Callable[[Record], None]) -> Callable[[Record], None]:
    def apply(model: Record) -> None:
        for change in changes:
            change(model)

    return apply


def quantized(index: int, **fields: object) -> Callable[[Record], None]:
    def apply(model: Record) -> None:
        record = tensor(model, index)
        record["quantization"] = {**record["quantization"], **fields}

    return apply


def opcode(**fields: object) -> Callable[[Record], None]:
    def apply(model: Record) -> None:
        model["operator_codes"][0] = fields

    return apply


def option(**fields: object) -> Callable[[Record], None]:
    def apply(model: Record) -> None:
        operator(model, 0)["builtin_options"][1].update(fields)

    return apply


SPARSE = {"traversal_order": [0], "dim_metadata": [{}]}
TO_REFUSE: dict[str, tuple[Callable[[Record], None], type[SmidgenError], str]] = {
    "no subgraph": (lambda m: m["subgraphs"].clear(), UnsupportedModelError, "0 subgraphs"),
    "no outputs": (change("outputs", []), ModelFileError, "no outputs"),
    "a builtin we lack": (
        opcode(builtin_code=BuiltinOperator.LSTM),
        UnsupportedModelError,
        r"operator 0: .*not supported: LSTM; LSTM: use the LSTM layer of Keras",
    ),
    "a builtin nobody knows": (
        opcode(builtin_code=999),
        UnsupportedModelError,
        "not supported: number 999",
    ),
    "a custom operator": (
        opcode(builtin_code=BuiltinOperator.CUSTOM, custom_code="Mine\n"),
        UnsupportedModelError,
        r"CUSTOM 'Mine\\\\n'",
    ),
    "an operator code out of range": (
        change("operators.1.opcode_index", 2),
        ModelFileError,
        "operator 1: is of kind 2 of 2",
    ),
    "an operand out of range": (
        change("operators.1.inputs", [5]),
        ModelFileError,
        r"operator 1 RELU \(tensor 4 'z'\): refers to tensor 5 of 5",
    ),
    "a result out of range": (
        change("operators.1.outputs", [-1]),
        ModelFileError,
        "operator 1 RELU: refers to tensor -1 of 5",
    ),
    "an input out of range": (change("inputs", [77]), ModelFileError, "refers to tensor 77 of 5"),
    "an output out of range": (change("outputs", [-7]), ModelFileError, "refers to tensor -7"),
    "a constant as input": (change("inputs", [0, 1]), ModelFileError, "tensor 1 'w'.*constant"),
    "an input twice": (change("inputs", [0, 0]), ModelFileError, "another input"),
    "use before definition": (
        change("operators.0.inputs", [4, 1, 2]),
        ModelFileError,
        r"operator 0 CONV_2D \(tensor 3 'y'\): tensor 4 'z': is read before it is computed",
    ),
    "an operator that reads its own result": (
        change("operators.1.inputs", [4]),
        ModelFileError,
        "'z': is read before it is computed",
    ),
    "an output that nobody computes": (
        change("operators", []),
        ModelFileError,
        "'z': is read before it is computed",
    ),
    "a tensor computed twice": (
        change("operators.1.outputs", [3]),
        ModelFileError,
        "operator 1 RELU .*computed before",
    ),
    "a constant that is computed": (
        both(
            change("tensors.4.buffer", 2),
            change("buffers.2", {"data": [0] * 48}),
            change("operators.0.inputs", [0, 1]),
        ),
        ModelFileError,
        "tensor 4 'z': is computed, but also a constant",
    ),
    "a buffer out of range": (
        change("tensors.1.buffer", 9),
        ModelFileError,
        "tensor 1 'w': has buffer 9 of 3",
    ),
    "a buffer too short": (
        change("buffers.1", {"data": [1, 2, 3, 4, 5]}),
        ModelFileError,
        r"int8\[3, 1, 1, 2\] takes 6 bytes, its buffer has 5",
    ),
    "a buffer too long": (
        change("tensors.2.type", FileType.INT16),
        ModelFileError,
        "takes 6 bytes, its buffer has 12",
    ),
    "four bits with a byte for each": (
        change("tensors.1.type", FileType.INT4),
        ModelFileError,
        r"int4\[3, 1, 1, 2\] takes 3 bytes, its buffer has 6",
    ),
    "four bits without the last half byte": (
        both(
            change("tensors.1.type", FileType.INT4),
            change("tensors.1.shape", [3, 3, 1, 1]),
            change("buffers.1", {"data": [1, 2, 3, 4]}),
        ),
        ModelFileError,
        r"int4\[3, 3, 1, 1\] takes 5 bytes, its buffer has 4",
    ),
    "an activation of four bits": (
        change("tensors.0.type", FileType.INT4),
        SmidgenError,
        "input, weights and bias are int4, int8, int32",
    ),
    "another shape than the operator computes": (
        change("tensors.3.shape", [1, 4, 4, 2]),
        ModelFileError,
        r"operator 0 CONV_2D .*computes int8\[1, 4, 4, 3\], the file says int8\[1, 4, 4, 2\]",
    ),
    "another dtype than the operator computes": (
        both(change("tensors.4.type", FileType.FLOAT32), change("tensors.4.quantization", None)),
        ModelFileError,
        r"the file says float32\[1, 4, 4, 3\]",
    ),
    "operands that do not fit each other": (
        both(change("tensors.1.shape", [2, 1, 1, 3]), quantized(1, scale=[1.0], zero_point=[0])),
        ModelFileError,
        "operator 0 CONV_2D .*its operands are not accepted: 2 input channels",
    ),
    "no operands": (change("operators.0.inputs", None), ModelFileError, "operator 0 CONV_2D"),
    "no results": (change("operators.0.outputs", []), ModelFileError, "operator 0 CONV_2D"),
    "a stride of zero": (option(stride_w=0), ModelFileError, "operator 0 CONV_2D"),
    "a stride below zero": (option(stride_h=-1), ModelFileError, "operator 0 CONV_2D"),
    "a padding that does not exist": (
        option(padding=7),
        ModelFileError,
        "padding 7 is not one of SAME, VALID",
    ),
    "an activation without a kernel": (
        option(fused_activation_function=ActivationFunctionType.TANH),
        UnsupportedModelError,
        "operator 0 CONV_2D .*TANH",
    ),
    "another operator's options": (
        change("operators.0.builtin_options", ("Pool2DOptions", {})),
        ModelFileError,
        "has Pool2DOptions instead of Conv2DOptions",
    ),
    "an unknown dimension": (
        change("tensors.0.shape", [-1, 4, 4, 2]),
        UnsupportedModelError,
        "tensor 0 'x': shape .*fixed input shape",
    ),
    "an empty dimension": (
        change("tensors.0.shape", [1, 0, 4, 2]),
        UnsupportedModelError,
        "not known or empty",
    ),
    "nine dimensions": (change("tensors.0.shape", [1] * 9), ModelFileError, "9 dimensions"),
    "a shape beyond all memory": (
        change("tensors.0.shape", [2**30, 2**30, 2**30, 2**30]),
        ModelFileError,
        "too large",
    ),
    "tensors beyond the limit together": (
        both(
            change("tensors.0.shape", [1, 2**14, 2**14, 2]),
            change("tensors.3.shape", [1, 2**14, 2**14, 3]),
        ),
        ModelFileError,
        "more than 1024 MB in all",
    ),
    "text tensors": (
        change("tensors.0.type", FileType.STRING),
        UnsupportedModelError,
        "STRING is not supported",
    ),
    "a number that is no type": (change("tensors.0.type", 99), UnsupportedModelError, "type 99"),
    "a sparse encoding of another rank": (
        change("tensors.1.sparsity", SPARSE),
        ModelFileError,
        "'w': its sparse encoding is wrong: 1 levels for 4 axes",
    ),
    "an external buffer": (
        change("tensors.1.external_buffer", 1),
        UnsupportedModelError,
        "external",
    ),
    "blockwise quantization": (
        quantized(1, details=("BlockwiseQuantization", {"block_size": 32})),
        UnsupportedModelError,
        "BlockwiseQuantization",
    ),
    "a scale of zero": (quantized(1, scale=[0.1, 0.0, 0.1]), ModelFileError, "not positive"),
    "a scale below zero": (quantized(0, scale=[-0.5]), ModelFileError, "'x': has a scale"),
    "a scale that is no number": (quantized(0, scale=[float("nan")]), ModelFileError, "finite"),
    "an infinite scale": (quantized(3, scale=[float("inf")]), ModelFileError, "finite"),
    "too few scales": (
        quantized(1, scale=[0.1, 0.2], zero_point=[0, 0]),
        ModelFileError,
        r"2 scales on axis 0 of shape \[3, 1, 1, 2\]",
    ),
    "too few zero points": (
        quantized(1, zero_point=[0, 0]),
        ModelFileError,
        "3 scales but 2 zero points",
    ),
    "no zero points": (quantized(0, zero_point=None), ModelFileError, "1 scales but 0 zero"),
    "an axis of another size": (
        quantized(1, quantized_dimension=3),
        ModelFileError,
        "3 scales on axis 3",
    ),
    "a zero point out of range": (
        quantized(0, zero_point=[128]),
        ModelFileError,
        r"zero point outside -128\.\.127",
    ),
    "a zero point beyond 32 bits": (
        quantized(2, zero_point=[0, 0, 2**40]),
        ModelFileError,
        "zero point outside",
    ),
    "an activation with scales by channel": (
        quantized(3, scale=[0.1, 0.2, 0.3], zero_point=[0, 0, 0], quantized_dimension=3),
        SmidgenError,
        "per-channel|per-tensor",
    ),
    "int8 without a scale": (
        change("tensors.0.quantization", None),
        SmidgenError,
        "int8 without a",
    ),
}


@pytest.mark.parametrize("case", TO_REFUSE)
def test_a_file_is_refused_with_the_place_and_the_reason(case: str) -> None:
    apply, error, says = TO_REFUSE[case]
    model = small()
    apply(model)
    with pytest.raises(error, match=says):
        read(encode(model))
