"""The table of operators of a file that cannot be read whole, and what it says to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smidgen.cli import app
from smidgen.errors import UnsupportedModelError
from smidgen.facts import describe_on
from smidgen.frontends import load, survey
from smidgen.frontends.tflite.survey import ADVICE, advice
from smidgen.schema import BuiltinOperator, encode
from smidgen.schema import TensorType as FileType
from smidgen.targets.board import load_board
from tests.frontends.tflite.small import small


def with_two_strangers() -> bytes:
    """CONV_2D → RELU → LOCAL_RESPONSE_NORMALIZATION → TOPK_V2 → RELU."""
    model = small()
    subgraph = model["subgraphs"][0]
    codes = [BuiltinOperator.LOCAL_RESPONSE_NORMALIZATION, BuiltinOperator.TOPK_V2]
    model["operator_codes"] += [{"builtin_code": code, "version": 1} for code in codes]
    like = subgraph["tensors"][4]
    subgraph["tensors"] += [{**like, "name": name} for name in ("norm", "top", "last")]
    for code, (source, made) in zip((2, 3, 1), ((4, 5), (5, 6), (6, 7)), strict=True):
        subgraph["operators"].append({"opcode_index": code, "inputs": [source], "outputs": [made]})
    subgraph["outputs"] = [7]
    return encode(model)


def test_every_operator_is_looked_at_and_each_stranger_has_a_way_out() -> None:
    found = survey_bytes(with_two_strangers())
    assert [one.operator for one in found] == [
        "CONV_2D",
        "RELU",
        "LOCAL_RESPONSE_NORMALIZATION",
        "TOPK_V2",
        "RELU",
    ]
    assert [one.problem for one in found] == [
        None,
        None,
        "LOCAL_RESPONSE_NORMALIZATION is not supported",
        "TOPK_V2 is not supported",
        None,
    ]
    assert [one.layer for one in found] == ["y", "z", "norm", "top", "last"]
    assert found[3].hint == "output all scores, and take the largest in your program"
    assert found[0].output == "int8[1,4,4,3]"


def survey_bytes(data: bytes) -> list:
    from smidgen.frontends.tflite.survey import survey as look

    return look(data)


def test_a_result_of_a_type_we_lack_is_shown_without_one() -> None:
    from smidgen.schema import decode

    model = decode(with_two_strangers())
    model["subgraphs"][0]["tensors"][6]["type"] = FileType.STRING
    found = survey_bytes(encode(model))
    assert [one.output for one in found][3] == ""
    assert "read before it is computed" in (found[4].problem or "") or found[4].problem


def test_advice_is_about_operators_that_exist() -> None:
    assert ADVICE.keys() <= {operator.name for operator in BuiltinOperator}
    assert "standard operators" in advice("CUSTOM 'SignalWindow'")


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("file", "operator"),
    [
        ("zoo/tflm_audio_preprocessor_int8.tflite", "CUSTOM 'SignalWindow'"),
        ("zoo/mp_face_full_range_sparse.tflite", "DENSIFY"),
    ],
)
def test_real_models_that_do_not_load_are_surveyed(file: str, operator: str, shared: Path) -> None:
    path = shared / file
    try:
        load(path)
    except UnsupportedModelError:
        bad = [one for one in survey(path) if one.problem]
        assert operator in [one.operator for one in bad]
        assert all(one.hint for one in bad)
    else:
        assert not [one for one in survey(path) if one.problem]


def test_inspect_prints_the_table_and_fails(tmp_path: Path) -> None:
    path = tmp_path / "strange.tflite"
    path.write_bytes(with_two_strangers())
    done = CliRunner().invoke(app, ["inspect", str(path)])
    assert done.exit_code == 1
    assert "2 of 5 operators cannot be read. What would work:" in done.output
    assert "TOPK_V2: output all scores" in done.output
    done = CliRunner().invoke(app, ["inspect", str(path), "--json"])
    facts = json.loads(done.output)
    assert "TOPK_V2" in facts["error"]["message"]
    assert "TOPK_V2: output all scores" in facts["error"]["hint"]
    assert len(facts["operators"]) == 5


def test_inspect_compares_with_a_board(tmp_path: Path) -> None:
    path = tmp_path / "small.tflite"
    path.write_bytes(encode(small()))
    done = CliRunner().invoke(app, ["inspect", str(path), "--board", "nucleo-l4r5zi", "--json"])
    assert done.exit_code == 0
    facts = json.loads(done.output)
    assert facts["board"]["fits"]
    assert 0 < facts["board"]["ram_bytes"] < 256
    tight = load_board("nucleo-l4r5zi")
    from dataclasses import replace

    on = describe_on(load(path), replace(tight, ram_bytes=16, flash_bytes=8))
    assert not on.fits
    assert len(on.advice) == 2
