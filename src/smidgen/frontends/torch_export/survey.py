"""Every call of an exported program, readable or not, and what to do about those that are not."""

from __future__ import annotations

from collections.abc import Mapping

from smidgen.errors import SmidgenError
from smidgen.frontends.lowering import Array
from smidgen.frontends.surveyed import Surveyed
from smidgen.frontends.torch_export.convert import IDLE, INPUT_DTYPES, Conversion, last_reads
from smidgen.frontends.torch_export.program import Call, Program
from smidgen.ir import TensorType


def survey(program: Program, arrays: Mapping[str, Array]) -> list[Surveyed]:
    """Look at every call of a program.

    Args:
        program: the program.
        arrays: parameters, buffers and constants by name.

    Raises:
        SmidgenError: its inputs are not what graphs have.
    """
    return _Survey("model").calls(program, arrays)


class _Survey(Conversion):
    """A conversion that goes on after a call that it cannot convert."""

    def calls(self, program: Program, arrays: Mapping[str, Array]) -> list[Surveyed]:
        """Every call of the program."""
        self.declare(program, arrays)
        last_read = last_reads(program)
        found: list[Surveyed] = []
        for step, call in enumerate(program.calls):
            if call.packet in IDLE:
                continue
            problem = hint = None
            try:
                self.convert(program, step, last_read)
            except SmidgenError as error:
                problem, hint = error.message, error.hint
                self._stand_in(call, program)
            layer = call.module or call.packet.strip("_")
            if problem and call.source:
                layer += f" at {call.source}"
            type = next((self._type(name, program) for name in call.outputs if name), "")
            found.append(Surveyed(len(found), call.target, layer, type, problem, hint))
        return found

    def _stand_in(self, call: Call, program: Program) -> None:
        """Put results of the types that the program tells in the place of those not computed."""
        for name in call.outputs:
            tensor = program.tensors.get(name or "")
            if name is None or tensor is None or tensor.dtype not in INPUT_DTYPES:
                continue
            shape = tuple(d for d in tensor.shape if d is not None)
            if len(shape) == len(tensor.shape):
                type = TensorType(shape, INPUT_DTYPES[tensor.dtype])
                self.values[name] = self.at.builder.input(name, type)

    @staticmethod
    def _type(name: str, program: Program) -> str:
        tensor = program.tensors.get(name)
        if tensor is None:
            return ""
        return f"{tensor.dtype}[{','.join('?' if d is None else str(d) for d in tensor.shape)}]"
