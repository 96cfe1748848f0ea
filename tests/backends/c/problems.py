"""Memory planning problems for tests: random ones, and the activations of known networks."""

from __future__ import annotations

from hypothesis import strategies as st

from smidgen.backends.c.memory_problem import Buffer, MemoryProblem, Overlap


@st.composite
def memory_problems(
    draw: st.DrawFn, most: int = 12, largest: int = 40, alignments: tuple[int, ...] = (4, 16)
) -> MemoryProblem:
    """Random buffers, with overlaps on some of the pairs that may have one."""
    count = draw(st.integers(1, most))
    buffers = []
    for i in range(count):
        start = draw(st.integers(0, count))
        buffers.append(
            Buffer(
                f"b{i}",
                draw(st.integers(1, largest)),
                start,
                start + draw(st.integers(1, 4)),
                draw(st.sampled_from(alignments)),
            )
        )
    overlaps = [
        Overlap(a.name, b.name, draw(st.sampled_from([0, 0, 1, 4, largest // 2, 2 * largest])))
        for a in buffers
        for b in buffers
        if a.end == b.start + 1 and a.start < b.start and draw(st.booleans())
    ]
    paired = {(o.input, o.output) for o in overlaps}
    disjoint = [
        (a.name, b.name)
        for i, a in enumerate(buffers)
        for b in buffers[:i]
        if not paired & {(a.name, b.name), (b.name, a.name)} and draw(st.integers(0, 9)) == 0
    ]
    return MemoryProblem(tuple(buffers), tuple(overlaps), tuple(disjoint))


def chain(*sizes: int, inplace: tuple[int, ...] = (), lead: int = 0) -> MemoryProblem:
    """A network without branches: activation i is written by step i - 1 and read by step i.

    ``inplace`` lists the activations that may be written over the one before them.
    """
    buffers = tuple(Buffer(f"t{i}", s, max(i - 1, 0), i + 1) for i, s in enumerate(sizes))
    overlaps = tuple(Overlap(f"t{i - 1}", f"t{i}", lead) for i in inplace)
    return MemoryProblem(buffers, overlaps)


AD = chain(640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640)
KWS = chain(490, *[8000] * 9, 64, 64, 12, 12)
VWW = chain(
    27648, 18432, 18432, 36864, 9216, 18432, 18432, 18432, 4608, 9216, 9216, 9216, 2304,
    *[4608] * 11, 1152, *[2304] * 3, 256, 256, 2, 2
)  # fmt: skip


def ic() -> MemoryProblem:
    """ResNet-8: three residual blocks, the second and third with a projection on the shortcut."""
    sizes = {"x": 3072, "c0": 16384, "c1": 16384, "c2": 16384, "a1": 16384}
    reads = {"x": 0, "c0": 3, "c1": 2, "c2": 3}  # the step that reads each for the last time
    written = {"x": 0, "c0": 0, "c1": 1, "c2": 2, "a1": 3}
    step, block = 4, "a1"
    for i, size in enumerate((8192, 4096)):
        first, second, short, out = f"d{i}", f"e{i}", f"p{i}", f"b{i}"
        sizes.update({first: size, second: size, short: size, out: size})
        written.update({first: step, second: step + 1, short: step + 2, out: step + 3})
        reads.update({block: step + 2, first: step + 1, second: step + 3, short: step + 3})
        step, block = step + 4, out
    for name, size in (("pool", 64), ("dense", 10), ("softmax", 10)):
        sizes[name], written[name], reads[block] = size, step, step
        step, block = step + 1, name
    reads[block] = step
    return MemoryProblem(
        tuple(Buffer(name, sizes[name], written[name], reads[name] + 1) for name in sizes)
    )
