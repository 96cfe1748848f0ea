"""The generated C: what it says, that it is warning free, that the arena is as planned."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest

from smidgen.backends.c.arena import plan_arena
from smidgen.backends.c.emit import c_identifier, emit
from smidgen.backends.c.host import QUICK, HostModel
from smidgen.backends.c.project import write_project
from smidgen.backends.c.select_kernels import select_kernels
from smidgen.errors import SmidgenError, UnsupportedModelError
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import get_op

STRICT = [
    "-std=c99",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wconversion",
    "-Wsign-conversion",
    "-pedantic",
    "-Wshadow",
]


def network(name: str = "net", *, quantized: bool = True) -> Graph:
    """Convolution, residual addition, reshape, two outputs."""
    rng = np.random.default_rng(0)
    quant = QuantParams.per_tensor(0.05, 3) if quantized else None
    b = GraphBuilder(name)
    x = b.input("image */ in", TensorType((1, 6, 5, 4), "int8" if quantized else "float32", quant))
    if quantized:
        data = rng.integers(-127, 128, (4, 3, 3, 4)).astype(np.int8)
        w = b.constant(data, quant=QuantParams.per_channel([0.01, 0.02, 0.03, 0.005], 0))
    else:
        w = b.constant(rng.normal(size=(4, 3, 3, 4)).astype(np.float32))
    y = b.add(get_op("CONV_2D")(padding="SAME"), [x, w, None], quant=quant, name='conv "1"\n')
    z = b.add(get_op("ADD")(), [x, y], quant=quant, name="sum")
    flat = b.add(get_op("RESHAPE")((1, 120)), [z], quant=quant)
    return b.build([flat, y])


def source_of(graph: Graph):
    arena = plan_arena(graph, select_kernels(graph))
    return emit(graph, arena, "0")


@pytest.mark.parametrize(
    ("name", "identifier"),
    [("net", "net"), ("7 seas", "model_7_seas"), ("", "model"), ("Ü-Net/a.b", "net_a_b")],
)
def test_names_become_identifiers(name, identifier):
    assert c_identifier(name) == identifier


def test_header_states_the_contract():
    header = source_of(network()).header
    assert "#define NET_ARENA_BYTES" in header
    assert "#define NET_INPUT_BYTES 120" in header
    assert "#define NET_OUTPUT0_BYTES 120" in header
    assert "#define NET_INPUT_SCALE 0.0500000007f" in header
    assert "int net_invoke(void *arena);" in header
    assert "int8 (1, 6, 5, 4), real = 0.0500000007 * (q - 3)" in header


def test_names_from_a_file_cannot_leave_their_comment():
    source = source_of(network())
    text = source.header + source.source
    for comment in re.findall(r"/\*.*?\*/", text, re.DOTALL):
        assert comment.count("*/") == 1
    assert 'conv "1"?' in source.source


def test_equal_constants_are_stored_once():
    b = GraphBuilder()
    quant = QuantParams.per_tensor(0.1, 0)
    x = b.input("x", TensorType((1, 4, 4, 2), "int8", quant))
    data = np.ones((2, 1, 1, 2), np.int8)
    for _ in range(2):
        w = b.constant(data, quant=QuantParams.per_channel([0.1, 0.1], 0))
        x = b.add(get_op("CONV_2D")(), [x, w, None], quant=quant)
    source = source_of(b.build([x]))
    tables = re.findall(r"^static const SM_CONST \w+ (\w+)", source.source, re.MULTILINE)
    assert tables and all(name.endswith("_0") for name in tables)  # of the first layer


@pytest.mark.toolchain
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("quantized", [True, False])
def test_project_compiles_without_a_warning(tmp_path, compiler, quantized):
    assert shutil.which(compiler), f"{compiler} is needed"
    out = write_project(source_of(network(quantized=quantized)), tmp_path / "fw")
    assert {p.name for p in out.iterdir()} == {
        "net.h",
        "net.c",
        "kernels",
        "CMakeLists.txt",
        "main.c",
    }
    command = [compiler, *STRICT, "net.c", "main.c", "-o", "example"]
    subprocess.run(command, cwd=out, check=True, capture_output=True)
    printed = subprocess.run(["./example"], cwd=out, check=True, capture_output=True, text=True)
    assert len(printed.stdout.splitlines()) == 120


@pytest.mark.toolchain
def test_only_the_kernels_used_are_written(tmp_path):
    out = write_project(source_of(network()), tmp_path / "fw")
    written = {p.name for p in (out / "kernels").iterdir()}
    used = {step.kernel.source for step in select_kernels(network())}
    assert {"common.h", *used} - {""} <= written
    included = set(re.findall(r'#include "kernels/([^"]+)"', (out / "net.c").read_text()))
    assert written == included
    assert not any("float" in name for name in written)


@pytest.mark.toolchain
@pytest.mark.parametrize("quantized", [True, False])
def test_many_threads_give_what_the_interpreter_gives(quantized):
    graph = network(quantized=quantized)
    rng = np.random.default_rng(1)
    x = rng.integers(-128, 128, (101, 6, 5, 4)).astype(np.int8 if quantized else np.float32)
    got = HostModel(graph, flags=QUICK).run(x, threads=4)
    for a, b in zip(got, interpret(graph, x), strict=True):
        np.testing.assert_allclose(a.reshape(b.shape), b, rtol=1e-5, atol=1e-4 * (not quantized))


@pytest.mark.toolchain
def test_every_tensor_can_be_seen_in_the_real_arena():
    graph = network()
    x = np.random.default_rng(2).integers(-128, 128, (1, 6, 5, 4)).astype(np.int8)
    want: dict[str, np.ndarray] = {}
    interpret(graph, x, observe=want.__setitem__)
    tensors = HostModel(graph, flags=QUICK, trace=True).run_traced(x)
    assert len(tensors) == 2
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, want[name])


@pytest.mark.toolchain
def test_a_misaligned_arena_is_refused(tmp_path):
    out = write_project(source_of(network()), tmp_path / "fw")
    (out / "main.c").write_text(
        '#include "net.h"\n#include <stddef.h>\n'
        "static uint32_t arena[NET_ARENA_BYTES / 4 + 2];\n"
        "int main(void) { return !(net_invoke((uint8_t *)arena + 1) == -1 &&"
        " net_invoke(NULL) == -1 && net_invoke(arena) == 0); }\n",
        encoding="utf-8",
    )
    subprocess.run(["gcc", *STRICT, "net.c", "main.c", "-o", "t"], cwd=out, check=True)
    subprocess.run(["./t"], cwd=out, check=True)


def test_folders_of_others_are_left_alone(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(SmidgenError, match="not written by smidgen"):
        write_project(source_of(network()), mine)
    assert [p.name for p in mine.iterdir()] == ["thesis.txt"]


def test_an_earlier_result_is_replaced(tmp_path):
    write_project(source_of(network("first")), tmp_path / "fw")
    out = write_project(source_of(network("second")), tmp_path / "fw")
    assert not (out / "first.c").exists()
    assert (out / "second.c").exists()


def test_an_operator_without_a_kernel_is_named():
    b = GraphBuilder()
    quant = QuantParams.per_tensor(0.1, 0)
    x = b.input("x", TensorType((1, 4, 4, 2), "int8", quant))
    w = b.input("w", TensorType((2, 1, 1, 2), "int8", QuantParams.per_tensor(0.1, 0)))
    graph = b.build([b.add(get_op("CONV_2D")(), [x, w, None], quant=quant, name="dynamic")])
    with pytest.raises(UnsupportedModelError, match=r"dynamic.*computed at run time"):
        select_kernels(graph)
