"""Typed errors: what was received, where, and what would work.

Every failure a user can cause or meet is one of these classes, so that the command line can
print one line instead of a traceback, and a program can tell a bad file from a missing tool.
"""

from __future__ import annotations

LONGEST = 1000  # characters of a message or a place: files decide what stands in them


class SmidgenError(Exception):
    """Base of every error Smidgen raises on purpose.

    Args:
        message: What was received and why it cannot be used.
        where: The file, node, layer or tensor it happened at.
        hint: What would work instead, in the imperative.

    Attributes:
        message: As given.
        where: As given, or None.
        hint: As given, or None.

    Example:
        >>> str(SmidgenError("rank 5 input", where="node conv1", hint="use rank 4 (NHWC)"))
        'node conv1: rank 5 input; use rank 4 (NHWC)'
    """

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.message = message
        self.where = where
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        text = shortened(self.message)
        text = f"{shortened(self.where)}: {text}" if self.where else text
        return f"{text}; {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions pickle by calling the class with ``args``; the keyword attributes and any a
        # subclass adds travel as state, so that an error survives a process pool.
        return (_rebuild, (type(self), dict(self.__dict__)))


def shortened(text: str) -> str:
    """Both ends of a text that is longer than a person reads."""
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST * 2 // 3]} … {text[-LONGEST // 4 :]}"


def _rebuild(kind: type[SmidgenError], state: dict[str, object]) -> SmidgenError:
    """Recreate a pickled error of class ``kind`` without calling its constructor."""
    error = kind.__new__(kind)
    error.__dict__.update(state)
    error.args = (state["message"],)
    return error


class GraphError(SmidgenError):
    """A graph breaks a rule of the IR: shapes, dtypes, order, names or quantization."""


class ModelFileError(SmidgenError):
    """A model file is truncated, corrupt, hostile, or not of the format it claims."""


class UnsupportedModelError(SmidgenError):
    """A well-formed model uses an operator, layer or option that Smidgen does not have."""


class DataError(SmidgenError):
    """Samples or labels do not match the model: shape, dtype, range or count."""


class RecipeError(SmidgenError):
    """A recipe asks for something unknown, contradictory or outside what a runtime can do."""


class BoardError(SmidgenError):
    """A board is unknown or its description is not valid."""


class PlanError(SmidgenError):
    """A memory plan cannot be made, or the independent validator rejects one."""


class ToolchainError(SmidgenError):
    """A compiler or linker ran and failed.

    Args:
        message: What was attempted.
        where: The source file or target.
        hint: What would work.
        output: What the tool printed.
    """

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        output: str = "",
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.output = output


class ToolMissingError(SmidgenError):
    """Something optional is not installed.

    Args:
        tool: The package or program that is missing.
        extra: The extra of the ``smidgen`` package that brings it, if one does.
        purpose: What it was needed for.
        hint: How to get it; derived from ``extra`` when omitted.

    Example:
        >>> str(ToolMissingError("torch", extra="train", purpose="fine-tuning"))
        "torch is not installed and fine-tuning needs it; run: pip install 'smidgen[train]'"
    """

    def __init__(
        self,
        tool: str,
        *,
        extra: str | None = None,
        purpose: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.tool = tool
        self.extra = extra
        self.purpose = purpose
        if hint is None and extra is not None:
            hint = f"run: pip install 'smidgen[{extra}]'"
        need = f" and {purpose} needs it" if purpose else ""
        super().__init__(f"{tool} is not installed{need}", hint=hint)


class EmulatorError(SmidgenError):
    """The emulated firmware faulted, timed out, or two methods of counting disagree."""


class VerificationError(SmidgenError):
    """Two runtimes that must agree do not."""


class ForeignRuntimeError(SmidgenError):
    """A foreign runtime did not run a model; its subclasses say how it failed.

    Args:
        message: What happened.
        where: The runtime.
        hint: What would work.
        output: The end of what the runtime printed.
    """

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        output: str = "",
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.output = output


class RuntimeRefusedError(ForeignRuntimeError):
    """A foreign runtime refused the model or its inputs, in its own words."""


class RuntimeCrashedError(ForeignRuntimeError):
    """A foreign runtime's process died: an abort, a segmentation fault, out of memory."""


class RuntimeTimeoutError(ForeignRuntimeError):
    """A foreign runtime did not answer in time and was ended."""
