"""Somebody's int8 `.tflite` as firmware: smaller, compiled, run on an emulated chip, compared.

    python examples/tflite_to_firmware.py model.tflite nucleo-l4r5zi

Needs no data.
"""

from __future__ import annotations

import sys

import smidgen


def main(path: str, board: str) -> int:
    model = smidgen.load(path)
    small, report = smidgen.shrink(model)  # not one output byte changes
    print(f"constants: {report.bytes_before:,} → {report.bytes_after:,} bytes")

    firmware = smidgen.compile(small, board, out="firmware")
    print(f"flash {firmware.flash_bytes:,} B, RAM {firmware.ram_bytes:,} B, in firmware/")

    inputs = smidgen.random_inputs(small, 4)
    run = firmware.run(inputs, on="emulator", profile=True)
    print(f"{run.instructions:,} instructions an inference")
    for step in sorted(run.steps, key=lambda step: -step.instructions)[:3]:
        print(f"  {step.instructions:,} in {step.layer}")

    check = smidgen.verify(small, inputs, firmware=firmware)
    print(check.verdict)
    return 0 if check.ok else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
