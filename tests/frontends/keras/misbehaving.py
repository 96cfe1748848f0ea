"""A reader that does what its file says: hang, crash, eat memory or raise."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import IO

from smidgen.frontends._sandbox import reader_main


def read(path: Path, out: IO[bytes]) -> None:
    out.write(b"half an answer")
    out.flush()
    wish = path.read_bytes()
    if wish == b"crash":
        ctypes.string_at(0)
    elif wish == b"memory":
        bytearray(1 << 30)
    elif wish == b"raise":
        raise ZeroDivisionError("division by zero")
    elif wish == b"spin":
        while True:
            pass
    else:
        time.sleep(60)


if __name__ == "__main__":
    reader_main(read)
