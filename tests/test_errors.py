from __future__ import annotations

import pickle

import pytest

from smidgen import errors


def test_message_reads_where_what_hint() -> None:
    error = errors.SmidgenError("rank 5 input", where="node conv1", hint="use rank 4")
    assert str(error) == "node conv1: rank 5 input; use rank 4"
    assert str(errors.SmidgenError("rank 5 input")) == "rank 5 input"
    assert str(errors.SmidgenError("rank 5 input", hint="use rank 4")) == "rank 5 input; use rank 4"


def test_a_long_message_keeps_both_ends() -> None:
    error = errors.SmidgenError("begins " + "x" * 9000 + " ends", where="y" * 5000, hint="use it")
    assert len(str(error)) < 2000
    assert ": begins x" in str(error) and str(error).endswith("x ends; use it")
    assert error.message.count("x") == 9000, "a program has it whole"
    whole = "z" * errors.LONGEST
    assert str(errors.SmidgenError(whole)) == whole


def test_a_missing_tool_names_its_extra() -> None:
    error = errors.ToolMissingError("unicorn", extra="emulate")
    assert str(error) == "unicorn is not installed; run: pip install 'smidgen[emulate]'"
    assert errors.ToolMissingError("qemu", hint="install qemu-system-arm").hint == (
        "install qemu-system-arm"
    )


@pytest.mark.parametrize(
    "error",
    [
        errors.ModelFileError("cut short", where="a.h5", hint="download it again"),
        errors.ToolMissingError("torch", extra="train", purpose="fine-tuning"),
        errors.ToolchainError("compile failed", where="model.c", output="error: …"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_a_process_pool(error: errors.SmidgenError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert back.__dict__ == error.__dict__


def test_every_error_is_a_smidgen_error() -> None:
    raised = [kind for name, kind in vars(errors).items() if name.endswith("Error")]
    assert len(raised) > 10
    assert all(issubclass(kind, errors.SmidgenError) for kind in raised)
