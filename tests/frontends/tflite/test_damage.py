"""Damaged `.tflite` files, by the thousand: nothing but typed errors."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np

from smidgen.errors import SmidgenError
from smidgen.frontends.tflite import read
from smidgen.schema import Record, decode, encode
from tests.fuzzing import survive


def test_a_thousand_mutations_raise_only_typed_errors(shared: Path) -> None:
    names = [
        "zoo/tflm_hello_world_int8.tflite",
        "zoo/tinymaix_mnist_dw_int8.tflite",
        "zoo/tinymaix_mnist_dw_float.tflite",
        "models/mlperf_tiny/kws_ref_model_int8.tflite",
        "models/mlperf_tiny/pretrainedResnet_quant.tflite",
        "models/mlperf_tiny/ad01_int8.tflite",
    ]
    seen = survive("smidgen.frontends.tflite:read", [shared / name for name in names], 1000)
    assert set(seen) <= {"ok", "ModelFileError", "UnsupportedModelError", "GraphError"}
    assert seen["ok"] > 100
    assert seen["ModelFileError"] > 300


NUMBERS = (-(2**31), -129, -128, -1, 0, 1, 2, 3, 4, 8, 16, 127, 255, 65536, 2**30, 2**31 - 1)
FRACTIONS = (0.0, -1.0, 1e-45, 1e-38, 1e38, float("inf"), float("nan"), 0.5, 1.0)


def fields_of(item: object, found: list[tuple[Record, str]]) -> None:
    """Collect every field below `item` that is a number or a vector of numbers."""
    if isinstance(item, dict):
        for name, value in item.items():
            if isinstance(value, dict | list | tuple):
                fields_of(value, found)
            elif value is not None and not isinstance(value, str):
                found.append((item, name))
    elif isinstance(item, list | tuple):
        for value in item:
            fields_of(value, found)


def spoil(value: object, rng: random.Random) -> object:
    """Return another value that the same field can hold."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return rng.choice(FRACTIONS)
    if isinstance(value, int):
        return rng.choice((*NUMBERS, value - 1, value + 1))
    assert isinstance(value, np.ndarray)
    if value.size == 0 or rng.random() < 0.1:
        return None
    if rng.random() < 0.3:
        return rng.choice((value[:-1], np.append(value, value[:1])))
    spoiled = value.copy()
    index = rng.randrange(value.size)
    choices = FRACTIONS if value.dtype.kind == "f" else (*NUMBERS, spoiled[index] + 1)
    spoiled[index] = rng.choice(choices)
    return spoiled


def test_well_formed_files_with_absurd_contents_raise_only_typed_errors(shared: Path) -> None:
    """Random bytes seldom get past the format; this damage all arrives at the front end."""
    rng = random.Random(0)
    names = [
        "zoo/tinymaix_mnist_dw_int8.tflite",
        "zoo/tinymaix_mnist_dw_float.tflite",
        "models/mlperf_tiny/pretrainedResnet_quant.tflite",
    ]
    files = [(shared / name).read_bytes() for name in names]
    seen: Counter[str] = Counter()
    for _ in range(400):
        model = decode(rng.choice(files))
        fields: list[tuple[Record, str]] = []
        fields_of([model["subgraphs"], model["operator_codes"]], fields)
        for record, name in rng.sample(fields, rng.choice((1, 1, 2, 4))):
            record[name] = spoil(record[name], rng)
        try:
            data = encode(model)
        except (TypeError, OverflowError):  # a number that the field cannot hold
            continue
        try:
            read(data)
            seen["ok"] += 1
        except SmidgenError as error:
            seen[type(error).__name__] += 1
    assert seen["ModelFileError"] > 80
    assert seen["UnsupportedModelError"] > 10
    assert seen["ok"] > 40
