"""An ONNX model as proven firmware: loaded, quantized on samples, compiled, run on a chip.

    python examples/onnx_to_firmware.py model.onnx samples.npz nucleo-l4r5zi

The samples, `x` in the .npz, are channels first, as the model takes them.
"""

from __future__ import annotations

import sys

import smidgen


def main(path: str, samples: str, board: str) -> int:
    model = smidgen.load(path)  # open dimensions: load(path, shapes={"x": (1, 3, 96, 96)})
    data = smidgen.Dataset.from_npz(samples)
    print(f"{len(model.nodes)} operators, channels first: {sorted(model.channels_first)}")

    int8 = model if model.is_quantized else smidgen.quantize(model, data)
    firmware = smidgen.compile(int8, board, out="firmware")
    print(f"flash {firmware.flash_bytes:,} B, RAM {firmware.ram_bytes:,} B, in firmware/")

    check = smidgen.verify(int8, smidgen.random_inputs(int8, 4), firmware=firmware)
    print(check.verdict)
    return 0 if check.ok else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
