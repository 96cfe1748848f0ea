"""Damaged files: make them, and see that a reader refuses each with a typed error.

Run as a program it reads mutations of real files under a limit on memory, so that a test can show
that no file, however damaged, makes a reader crash, hang or eat the machine.
"""

from __future__ import annotations

import importlib
import io
import os
import random
import resource
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

MEMORY_LIMIT = 1 << 30
SLOWEST = 10.0  # seconds of processor time: other work on the machine is not the file's fault
RUN_MACS = 20_000_000
PLANNED_BYTES = 1 << 20  # planning larger graphs takes its time
INTERESTING = (0, 1, 4, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF0)


def truncated(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def bits_flipped(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def word_overwritten(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(0, len(data) - 4, 4)
        value = rng.choice((*INTERESTING, rng.randrange(len(data)), rng.getrandbits(32)))
        data[at : at + 4] = value.to_bytes(4, "little")


def half_word_overwritten(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(0, len(data) - 2, 2)
    data[at : at + 2] = rng.getrandbits(16).to_bytes(2, "little")


def words_swapped(data: bytearray, rng: random.Random) -> None:
    a, b = (rng.randrange(0, len(data) - 4, 4) for _ in range(2))
    data[a : a + 4], data[b : b + 4] = data[b : b + 4], data[a : a + 4]


def block_moved(data: bytearray, rng: random.Random) -> None:
    size = rng.randrange(1, 256)
    a, b = (rng.randrange(0, max(1, len(data) - size)) for _ in range(2))
    data[a : a + size] = data[b : b + size]


KINDS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    truncated,
    bits_flipped,
    word_overwritten,
    half_word_overwritten,
    words_swapped,
    block_moved,
)


def structure_of(data: bytes) -> list[int]:
    """Where a flatbuffer's offsets and tables are likely: words small enough to be either."""
    words = range(0, len(data) - 4, 4)
    return [at for at in words if 0 < int.from_bytes(data[at : at + 4], "little") < len(data)]


def inside_zip(data: bytes, rng: random.Random) -> bytes:
    """A zip archive with one of its members damaged: a checksum protects the rest."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    members = {name: archive.read(name) for name in archive.namelist()}
    victim = rng.choice([name for name, content in members.items() if len(content) > 8])
    copy = bytearray(members[victim])
    rng.choice(KINDS)(copy, rng)
    members[victim] = bytes(copy)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as damaged:
        for name, content in members.items():
            damaged.writestr(name, content)
    return stream.getvalue()


def mutations(data: bytes, seed: int, count: int) -> Iterator[bytes]:
    """``count`` damaged copies of ``data``; half of them hit offsets rather than constants.

    Three in four of an archive's are damaged inside.
    """
    rng = random.Random(seed)
    if data[:4] == b"PK\x03\x04":
        for index in range(count):
            copy = bytearray(data)
            rng.choice(KINDS)(copy, rng)
            yield bytes(copy) if index % 4 == 0 else inside_zip(data, rng)
        return
    structure = structure_of(data)
    for index in range(count):
        copy = bytearray(data)
        if index % 2 and structure:
            for _ in range(rng.choice((1, 1, 2, 4))):
                at = rng.choice(structure)
                near = int.from_bytes(copy[at : at + 4], "little") + rng.randrange(-64, 64)
                value = rng.choice((*INTERESTING, near % 2**32, rng.randrange(len(data))))
                copy[at : at + 4] = value.to_bytes(4, "little")
        else:
            rng.choice(KINDS)(copy, rng)
        yield bytes(copy)


def load_and_plan(data: bytes, suffix: str) -> None:
    """What a user does first: load a file, describe it, and plan its firmware, or inspect it."""
    from smidgen import describe, load, random_inputs
    from smidgen.backends.c.arena import plan_arena
    from smidgen.backends.c.emit import emit
    from smidgen.backends.c.select_kernels import select_kernels
    from smidgen.errors import UnsupportedModelError
    from smidgen.frontends import survey
    from smidgen.interpreter import interpret
    from smidgen.transforms.rewrites import simplify

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{suffix}"
        path.write_bytes(data)
        try:
            graph = load(path)
        except UnsupportedModelError:
            survey(path)
            raise
    facts = describe(graph)
    if facts.activation_bytes + facts.constant_bytes < PLANNED_BYTES and facts.macs < RUN_MACS:
        interpret(graph, random_inputs(graph, 1))
    if facts.activation_bytes + facts.constant_bytes < PLANNED_BYTES:
        graph = simplify(graph)
        emit(graph, plan_arena(graph, select_kernels(graph)), "host")


def load_tflite(data: bytes) -> None:
    load_and_plan(data, ".tflite")


def load_onnx(data: bytes) -> None:
    load_and_plan(data, ".onnx")


def load_keras(data: bytes) -> None:
    load_and_plan(data, ".keras")


def load_h5(data: bytes) -> None:
    load_and_plan(data, ".h5")


def load_pt2(data: bytes) -> None:
    load_and_plan(data, ".pt2")


def survive(
    reader: str, files: list[Path], count: int, seed: int = 1, timeout: float = 280
) -> Counter[str]:
    """Read ``count`` mutations of ``files`` in a process of its own, under a limit on memory.

    Args:
        reader: ``module:function`` that takes bytes.
        files: What to damage, in turn.
        count: Mutations in all; 0 reads the files as they are.
        seed: For the damage.
        timeout: Seconds that all of it may take.

    Returns:
        How often each outcome was seen: ``"ok"`` or the name of the typed error.
    """
    command = [sys.executable, "-m", "tests.fuzzing", reader, str(count), str(seed)]
    done = subprocess.run(
        [*command, *map(str, files)], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    words = done.stdout.split()
    return Counter(dict(zip(words[::2], map(int, words[1::2]), strict=True)))


def processor_seconds() -> float:
    """What this process and the readers that it started have used."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def main() -> None:
    from smidgen.errors import SmidgenError

    module, _, function = sys.argv[1].partition(":")
    read = getattr(importlib.import_module(module), function)
    count, seed = int(sys.argv[2]), int(sys.argv[3])
    files = [Path(name).read_bytes() for name in sys.argv[4:]]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    seen: Counter[str] = Counter()
    for index, data in enumerate(files):
        share = count // len(files) + (index < count % len(files))
        damaged_files = mutations(data, seed + index, share) if count else [data]
        for number, damaged in enumerate(damaged_files):
            start = processor_seconds()
            message = ""
            try:
                read(damaged)
                seen["ok"] += 1
            except SmidgenError as error:
                seen[type(error).__name__] += 1
                message = str(error)
            except BaseException:
                print(f"file {sys.argv[4 + index]}, mutation {number}", file=sys.stderr)
                raise
            took = processor_seconds() - start
            where = f"{sys.argv[4 + index]}, mutation {number}"
            assert took < SLOWEST, f"{where}: {took:.1f} s"
            assert len(message) < 2000, f"{where}: longer than a person reads: {message[:1000]}"
    print(*(f"{outcome} {times}" for outcome, times in seen.items()))


if __name__ == "__main__":
    main()
