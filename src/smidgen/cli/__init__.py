"""The command line: parse, call the API, print. Exit 0 done, 1 a check failed, 2 bad input."""

from __future__ import annotations

import signal
import sys
from typing import Annotated, Any, NoReturn

import typer

from smidgen import __version__
from smidgen.cli.build import calibrate, compile, run, verify
from smidgen.cli.convert import quantize, shrink
from smidgen.cli.job import demo, report, squeeze
from smidgen.cli.look import boards, inspect
from smidgen.cli.train import distil, finetune, prune, sensitivity
from smidgen.errors import SmidgenError, shortened

app = typer.Typer(
    help="Squeeze a trained neural network until it fits a small device, and prove that it works.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# In the order in which the help lists them.
for _command in (
    *(inspect, boards),
    *(finetune, distil, prune, sensitivity),
    *(shrink, quantize),
    *(compile, run, verify),
    *(squeeze, report, demo),
):
    app.command()(_command)
app.command(hidden=True)(calibrate)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> NoReturn:
    """Entry point: every expected failure is one message and exit code 2, never a traceback."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app(standalone_mode=True)
    except SmidgenError as error:
        _fail(error.message, error.where, error.hint)
    except OSError as error:
        _fail(error.strerror or str(error), str(error.filename or ""), None)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(130)
    sys.exit(0)


def _terminated(number: int, frame: Any) -> NoReturn:
    """Ends as an exception does, so that half-written folders go."""
    sys.exit(128 + number)


def _fail(message: str, where: str | None, hint: str | None) -> NoReturn:
    if "--json" in sys.argv:
        import json

        typer.echo(json.dumps({"error": {"message": message, "where": where, "hint": hint}}))
    place = f"{shortened(where)}: " if where else ""
    typer.echo(f"error: {place}{shortened(message)}", err=True)
    if hint:
        typer.echo(f"hint: {hint}", err=True)
    sys.exit(2)
