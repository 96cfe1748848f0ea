"""What the commands that train share: an option for each setting, and how a run is watched."""

from __future__ import annotations

import functools
import inspect
import math
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smidgen.errors import SmidgenError

if TYPE_CHECKING:
    from smidgen.training.loop import Epoch, Progress

_PANEL = "Training"

Teacher = Annotated[
    str | None,
    typer.Option(
        help="Who teaches: a model file of any kind, or an .npy of answers.", metavar="MODEL"
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(help="A folder that keeps the teacher's answers between runs.", metavar="DIR"),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        help="Keeps the state of an interrupted run; by default OUT.ckpt, until it is done.",
        metavar="FILE",
    ),
]
Threads = Annotated[int | None, typer.Option(help="Threads of torch.", min=1)]

Channels = Annotated[
    float | None, typer.Option(help="Part of the target that is to be left, such as 0.5.")
]
Target = Annotated[str, typer.Option(help="macs, parameters, flash or ram.")]
Weights = Annotated[
    float | None, typer.Option(help="Part of the weights that is to be zero, such as 0.8.")
]
Pattern = Annotated[str | None, typer.Option(help="2:4, another N:M, or block4.")]
Importance = Annotated[
    str,
    typer.Option(
        help="Of channels: auto, taylor, activation, l2, l1 or bn. Of weights: taylor, or else "
        "their magnitude."
    ),
]
Scope = Annotated[str, typer.Option(help="Of weights: lamp, global or layer.")]
Rounds = Annotated[int, typer.Option(help="Remove channels in so many steps.", min=1)]

# Each is the field of `smidgen.training.settings.Training` of that name, with its default; torch
# need not be there for the help.
SETTINGS: dict[str, tuple[Any, str]] = {
    "epochs": (5.0, "Passes over the training samples; 0 trains nothing."),
    "batch_size": (128, "Samples of one step."),
    "learning_rate": (1e-3, "The highest one."),
    "optimizer": ("adamw", "adamw or sgd."),
    "schedule": ("cosine", "cosine, one-cycle or constant."),
    "warmup": (0.05, "Part of the run in which the learning rate rises."),
    "weight_decay": (1e-2, "Of weights; biases and norms have none."),
    "ema": (0.0, "Decay of the average of the weights that is kept; 0 for none."),
    "clip": (0.0, "The largest norm of the gradient; 0 for any."),
    "label_smoothing": (0.0, "Part of a class's probability that all share."),
    "mixup": (0.0, "How strongly pairs of samples are mixed; 0 for not."),
    "augment": ("auto", "auto, image, audio, imu or none."),
    "loss": ("auto", "auto, cross-entropy, mse or mae."),
    "validation": (0.1, "Part of the training samples held apart to watch the run on."),
    "temperature": (4.0, "Softens the teacher's answers."),
    "teacher_weight": (0.9, "The teacher's part of the loss; the labels have the rest."),
    "seed": (0, "Of all that is drawn at random."),
}


_OPTIONS = [
    inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[type(default), typer.Option(help=help, rich_help_panel=_PANEL)],
    )
    for name, (default, help) in SETTINGS.items()
]


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each setting; it receives them as one dictionary, `settings`."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.name != "settings"]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        settings = {name: given.pop(name) for name in SETTINGS}
        command(settings=settings, **given)

    plain = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    run.__annotations__ = {}  # the signature says it all
    run.__signature__ = signature.replace(parameters=plain + _OPTIONS)  # type: ignore[attr-defined]
    return run


def get_teacher(source: str | None) -> Any:
    """A teacher from an option: a model, or the answers that an `.npy` file holds."""
    if source is None or not source.endswith(".npy"):
        from smidgen import load

        return None if source is None else load(source)
    import numpy as np

    from smidgen.errors import DataError

    try:
        return np.load(source, allow_pickle=False)
    except ValueError as error:
        raise DataError(f"is not a readable .npy file ({error})", where=source) from error


def check_unused(settings: dict[str, Any], *steps: str) -> None:
    """Refuse settings of a training that nobody asked for.

    Raises:
        SmidgenError: naming one that is not the default, and the options that train.
    """
    changed = [name for name, value in settings.items() if value != SETTINGS[name][0]]
    if changed:
        raise SmidgenError(
            f"--{changed[0].replace('_', '-')} without a step that trains",
            hint=f"add {' or '.join(steps)}",
        )


def epochs_of(watch: Watch) -> list[dict[str, Any]]:
    """The passes that a watch has seen, as JSON values."""
    return [
        {
            "number": epoch.number,
            "loss": epoch.loss,
            "held_out": None if math.isnan(epoch.score) else epoch.score,
            "seconds": epoch.seconds,
        }
        for epoch in watch.epochs
    ]


def beside(out: Path) -> Path:
    """Where a run is kept until its result is written."""
    return out.with_name(f"{out.name}.ckpt")


class Watch(ExitStack):
    """Shows trainings on standard error, and ends them between two steps when asked to.

    Args:
        quiet: show nothing.
        checkpoints: files that the runs keep; those of `kept` stay when they are done.
        keep: whether they do.
    """

    def __init__(self, quiet: bool, checkpoints: list[Path], keep: bool) -> None:
        super().__init__()
        self.epochs: list[Epoch] = []
        self._quiet = quiet
        self._checkpoints = checkpoints
        self._keep = keep
        self._shown = 0
        self._inside = self._asked = False

    def __enter__(self) -> Watch:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._console = Console(stderr=True, quiet=self._quiet)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,} of {task.total:,}"),
            TimeRemainingColumn(),
        )
        hidden = not self._console.is_terminal
        bar = Bar(*columns, console=self._console, transient=True, disable=hidden)
        self._bar = self.enter_context(bar)
        self._task = self._bar.add_task("prepare", total=None, visible=False)
        before = signal.signal(signal.SIGINT, self._interrupt)
        self.callback(signal.signal, signal.SIGINT, before)
        self.push(self._end)
        return self

    def tell(self, line: str) -> None:
        """A step of a long job begins."""
        self._bar.update(self._task, visible=False)
        self._console.print(f"[dim]· {line}[/dim]", highlight=False)

    def answered(self, done: int, total: int) -> None:
        """A teacher has answered so many samples."""
        self.counted(done, total, "ask the teacher")

    def counted(self, done: int, total: int, what: str = "measure") -> None:
        """So much of something is done."""
        self._bar.update(self._task, description=what, completed=done, total=total, visible=True)

    def step(self, progress: Progress) -> None:
        """A step is done."""
        if not self._inside:  # it begins
            self._bar.reset(self._task)
            self._shown = 0
        self._inside = progress.step < progress.steps
        for epoch in progress.epochs[self._shown :]:
            self._console.print(_epoch(epoch), highlight=False)
            self.epochs.append(epoch)
        self._shown = len(progress.epochs)
        text = f"train, loss {progress.loss:.3f}"
        self._bar.update(
            self._task, description=text, completed=progress.step, total=progress.steps,
            visible=self._inside,
        )  # fmt: skip
        if self._asked:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: Any) -> None:
        if self._asked or not self._inside:
            raise KeyboardInterrupt
        self._asked = True
        self._console.print("[dim]· end after this step; once more to end at once[/dim]")

    def _end(self, kind: type[BaseException] | None, *_: Any) -> None:
        left = [path for path in self._checkpoints if path.exists()]
        if kind is None and not self._keep:
            for path in left:
                path.unlink()
        elif left and kind in (KeyboardInterrupt, SystemExit):
            self._console.print(
                f"the same command goes on where this one ended: {left[-1]} keeps the run",
                highlight=False,
            )


def _epoch(epoch: Epoch) -> str:
    held = "" if math.isnan(epoch.score) else f", held out {epoch.score:.4f}"
    return f"epoch {epoch.number}: loss {epoch.loss:.4f}{held}, {epoch.seconds:.1f} s"
