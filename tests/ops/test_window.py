"""Windows: where they lie, and how far a kernel may write over the image it still reads."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from smidgen.ir import TensorType
from smidgen.ops._window import Window


@st.composite
def windows(draw: st.DrawFn) -> tuple[Window, tuple[int, int, int, int]]:
    """A window and an image that it fits."""

    def pair(high: int) -> tuple[int, int]:
        return draw(st.tuples(st.integers(1, high), st.integers(1, high)))

    window = Window(pair(4), pair(4), pair(3), draw(st.sampled_from(("SAME", "VALID"))))
    image = (1, *pair(6), draw(st.integers(1, 4)))
    try:
        window.positions(image)
    except ValueError:
        assume(False)
    return window, image


def pixels(window: Window, image: tuple[int, int, int, int]) -> list[list[int]]:
    """The first channel's elements that each output pixel reads, in the order of the pixels."""
    _, h, w, c = image
    (out_h, out_w), (top, left) = window.positions(image), window.pad(image)
    (kh, kw), (sh, sw), (dh, dw) = window.kernel, window.stride, window.dilation
    found = []
    for oy, ox in itertools.product(range(out_h), range(out_w)):
        taps = [
            (oy * sh - top + ky * dh, ox * sw - left + kx * dw)
            for ky, kx in itertools.product(range(kh), range(kw))
        ]
        found.append([(y * w + x) * c for y, x in taps if 0 <= y < h and 0 <= x < w])
    return found


def is_safe(reads: list[set[int]], lead: int) -> bool:
    """Whether output i, which reads `reads[i]`, can be written to input element i - lead."""
    still_read: set[int] = set()
    for i in reversed(range(len(reads))):
        if i - lead in still_read:
            return False
        still_read |= reads[i]
    return True


@settings(max_examples=300, deadline=None)
@given(windows(), st.integers(1, 4), st.booleans(), st.sampled_from(("int8", "float32")))
def test_no_output_covers_what_a_later_one_reads(
    drawn: tuple[Window, tuple[int, int, int, int]], outputs: int, channelwise: bool, dtype: str
) -> None:
    window, image = drawn
    channels = image[3]
    out_c = outputs * channels if channelwise else outputs
    reads = [
        {i + c for i in taps for c in ([oc // outputs] if channelwise else range(channels))}
        for taps in pixels(window, image)
        for oc in range(out_c)
    ]
    out = TensorType((1, *window.positions(image), out_c), dtype)
    size = out.bytes // out.size
    lead = window.lead(TensorType(image, dtype), out, channelwise=channelwise)
    assert lead % size == 0
    for further in range(lead // size, lead // size + 2 * out_c + 2):
        assert is_safe(reads, further)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "out_c", "channelwise", "lead"),
    [
        ((1, 1), (1, 1), "SAME", 8, False, 8),  # its own pixel
        ((1, 1), (1, 1), "SAME", 8, True, 0),  # in place
        ((2, 2), (2, 2), "VALID", 8, True, 0),
        ((3, 3), (1, 1), "VALID", 8, True, 0),
        ((3, 3), (1, 1), "SAME", 8, True, (6 + 1) * 8),  # a row and a pixel
        ((3, 3), (1, 1), "SAME", 8, False, (6 + 2) * 8),
        ((1, 1), (1, 1), "SAME", 16, True, 36 * 8),  # twice as many channels
        ((1, 1), (1, 1), "SAME", 4, False, 4),
    ],
)
def test_the_lead_is_no_larger_than_it_must_be(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: str,
    out_c: int,
    channelwise: bool,
    lead: int,
) -> None:
    x = TensorType((1, 6, 6, 8), "int8")
    window = Window(kernel, stride, (1, 1), padding)
    out = TensorType((1, *window.positions(x.shape), out_c), "int8")
    assert window.lead(x, out, channelwise=channelwise) == lead


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"),
    [((0, 1), (1, 1), (1, 1)), ((1, 1), (1, 0), (1, 1)), ((1, 1), (1, 1), (-1, 1))],
)
def test_windows_that_cannot_slide_are_refused(
    kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match="must all be positive"):
        Window(kernel, stride, dilation, "SAME")


def test_a_window_that_does_not_fit_and_an_unknown_padding_are_refused() -> None:
    with pytest.raises(ValueError, match="a window of 5 does not fit into 4"):
        Window((3, 1), (1, 1), (2, 1), "VALID").positions((1, 4, 4, 1))
    with pytest.raises(ValueError, match="'FULL' is not one of SAME, VALID"):
        Window((1, 1), (1, 1), (1, 1), "FULL").positions((1, 4, 4, 1))
