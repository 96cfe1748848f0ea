"""Run a reader of untrusted bytes in a process of its own, with limits on time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

from smidgen import errors
from smidgen.errors import ModelFileError, SmidgenError

MEGABYTE = 1 << 20
PATIENCE = 10
_REFUSED = 3  # exit status of a reader that has printed a refusal
_OUT_OF_TIME = 24  # the signal of Unix for a process that has used up its processor time


def run_reader(module: str, path: Path, *, seconds: float, memory: int) -> IO[bytes]:
    """Run `python -m module path` with limits and return what it wrote.

    Args:
        module: a module whose `main` is `reader_main(read)`.
        path: the file to read.
        seconds: processor time after which the reader is ended; of wall time it gets `PATIENCE`
            times that, for a machine may be busy.
        memory: address space the reader may take, in bytes.

    Returns:
        The reader's output, positioned at its start. Close it.

    Raises:
        SmidgenError: as the reader refused, or that it crashed or took too long.
    """
    command = [sys.executable, "-m", module, str(path.resolve()), str(int(seconds)), str(memory)]
    output = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        with tempfile.TemporaryFile() as complaints:
            try:
                status = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=complaints,
                    env=_environment(),
                    timeout=PATIENCE * seconds,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                raise _too_slow(path, PATIENCE * seconds) from None
            if status == -_OUT_OF_TIME:
                raise _too_slow(path, seconds)
            output.seek(0)
            if status == _REFUSED:
                raise _refusal(output.read(MEGABYTE), path)
            if status != 0:
                complaints.seek(0)
                raise ModelFileError(
                    f"the reader of the file {_manner(status, complaints.read(MEGABYTE))}",
                    where=path.name,
                    hint="the file is probably damaged: save or download it again",
                )
    except BaseException:
        output.close()
        raise
    return output


def reader_main(read: Any) -> None:
    """The main function of a reader process: set the limits, read, write or refuse.

    Args:
        read: called with the path and a binary stream to write to. A SmidgenError it raises
            reaches the caller of `run_reader` as one of the same class.
    """
    path, seconds, memory = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    _limit(seconds, memory)
    out = sys.stdout.buffer
    try:
        try:
            read(path, out)
        except MemoryError:
            raise ModelFileError(
                f"reading it takes more than {memory // MEGABYTE} MB of memory",
                hint="the file is probably damaged: save or download it again",
            ) from None
    except SmidgenError as error:
        refusal = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        out.flush()
        os.ftruncate(out.fileno(), 0)
        os.lseek(out.fileno(), 0, os.SEEK_SET)
        out.write(json.dumps(refusal).encode())
        out.flush()
        os._exit(_REFUSED)  # no clean-up of a library that has just refused
    out.flush()
    os._exit(0)


def _limit(seconds: int, memory: int) -> None:
    try:
        import resource
    except ImportError:  # not a POSIX system: the caller's wall time still holds
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([root, inherited] if inherited else [root]),
        "PYTHONSAFEPATH": "1",  # nothing is imported from the folder the user stands in
        "OPENBLAS_NUM_THREADS": "1",  # its thread stacks would count against the memory limit
        "HDF5_USE_FILE_LOCKING": "FALSE",  # read-only folders cannot be locked
        "HDF5_PLUGIN_PRELOAD": "::",  # no filter plug-ins
    }


def _too_slow(path: Path, seconds: float) -> ModelFileError:
    return ModelFileError(
        f"reading the file took over {seconds:.0f} seconds",
        where=path.name,
        hint="the file is probably damaged: save or download it again",
    )


def _refusal(text: bytes, path: Path) -> SmidgenError:
    try:
        refusal = json.loads(text)
        kind = getattr(errors, refusal["kind"])
        error = kind(refusal["message"], where=path.name, hint=refusal["hint"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return ModelFileError("the reader of the file gave a garbled refusal", where=path.name)
    return error if isinstance(error, SmidgenError) else ModelFileError(str(error))


def _manner(status: int, complaints: bytes) -> str:
    if status < 0:
        return f"crashed (signal {-status})"
    lines = complaints.decode(errors="replace").strip().splitlines()
    return f"failed: {lines[-1][:200]}" if lines else f"failed with status {status}"
