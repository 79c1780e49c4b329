"""What the commands share: consoles, what long work shows, arguments that several have, how errors end."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sparse_qonnx import limits
from sparse_qonnx.errors import SparseQonnxError
from sparse_qonnx.text import marked_up, marked_up_lines, shortened

if TYPE_CHECKING:
    from onnx import ModelProto

    from sparse_qonnx.comparison import Report
    from sparse_qonnx.datasets import Events

OK, MISMATCH, ERROR, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: success, a comparison found mismatches, an error told in one message on stderr, Ctrl-C."""


class _Console(Console):
    """Leaves it to `call` what happens when its reader has ended; rich would end with the code of a difference."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


OUT = _Console(highlight=False, soft_wrap=True)
ERR = _Console(stderr=True, highlight=False, soft_wrap=True)


class _EndedBySignal(SystemExit):
    """What a signal to end becomes."""


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner on a terminal, nothing elsewhere."""
    if not ERR.is_terminal:
        yield
        return
    with ERR.status(marked_up(what)):
        yield


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal, nothing elsewhere; yields a function of (done, total)."""
    if not ERR.is_terminal:  # a disabled bar of rich before 15 still ends its line
        yield lambda _done, _total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=ERR, transient=True) as bar:
        task = bar.add_task(marked_up(what), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def quiet_imports() -> Iterator[None]:
    """TensorFlow talks about its build while it is imported, past Python's stderr: what follows is only our own."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def import_keras() -> None:
    """Import what `sparse_qonnx.export` needs; what is missing is its own message."""
    with quiet_imports(), suppress(ImportError):
        import hgq  # noqa: F401
        import sparsepixels.layers  # noqa: F401


def say(text: str) -> None:
    """Print a line on stdout, as it is, but for what would act on the terminal."""
    OUT.print(marked_up(text))


def compare(model: ModelProto, project: Any, events: Events) -> int:
    """Verify a project, print the table and what belongs under it; the exit code."""
    from sparse_qonnx.verify import verify

    with progress("comparing") as advance:
        report = verify(model, events, project=project, progress=advance)
    return show_report(report)


def show_report(report: Report) -> int:
    """Print the table and what belongs under it; the exit code."""
    OUT.print(report.table)
    for line in report.remarks:
        say(line)
    return OK if report.ok else MISMATCH


def positive(text: str) -> int:
    """An argument that is a whole number of at least 1."""
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def add_version(parser: argparse.ArgumentParser) -> None:
    """`--version`."""
    import sparse_qonnx

    parser.add_argument("--version", action="version", version=f"%(prog)s {sparse_qonnx.__version__}")


def add_input(parser: argparse.ArgumentParser, required: bool) -> None:
    """`--input`, once for each input."""
    text = (
        "events in a .npy, .npz or HDF5 file, or a quoted pattern such as 'run*.npy'; FILE:NAME for one array of a "
        "file with several, INPUT=FILE for one input of several; repeat it for more files"
    )
    parser.add_argument("--input", action="append", required=required, metavar="X.npy", help=text)


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """A signal to end is an exception, so that what lies aside, child processes and progress bars end, too."""
    signals = [signal.SIGTERM, signal.SIGHUP] if threading.current_thread() is threading.main_thread() else []
    # One that is ignored stays so: nohup.
    ours = [number for number in signals if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _exit)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _exit(number: int, _: FrameType | None) -> None:
    raise _EndedBySignal(128 + number)


def add_limits(parser: argparse.ArgumentParser) -> None:
    """`--limit`, which changes one of `sparse_qonnx.limits`."""
    text = "change how much a model may ask for, such as slots=100000 (repeatable); docs/security.md lists the limits"
    parser.add_argument("--limit", action="append", default=[], metavar="NAME=VALUE", help=text)


def call(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Run the chosen command; an error becomes one message and exit code 2."""
    args = parser.parse_args(argv)
    show = warnings.showwarning
    warnings.showwarning = lambda message, *_, **__: ERR.print(f"[yellow]warning:[/yellow] {marked_up(str(message))}")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names may hold what the terminal's encoding does not
    try:
        changed = limits.current().changed(getattr(args, "limit", ()), "--limit")
        with limits.using(changed), _ending_in_order():
            code: int = args.run(args)
            sys.stdout.flush()
    except SparseQonnxError as error:
        _fail(str(error))
        return ERROR
    except KeyboardInterrupt:
        ERR.print("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        _silence(sys.stdout)  # whoever read it has ended
        return ERROR
    except _EndedBySignal:
        raise
    except (Exception, SystemExit) as error:  # some package ends the process: its code would mean something else
        _silence(sys.stdout)
        _unexpected(error)
        return ERROR
    finally:
        warnings.showwarning = show
    return code


# ---- errors ---------------------------------------------------------------------------------------------------------

TRACEBACK_VARIABLE = "SPARSE_QONNX_TRACEBACK"
"""Environment variable: with any value, errors that nobody expected show where they come from."""


def _fail(text: str) -> None:
    ERR.print(f"[bold red]error:[/bold red] {marked_up(text)}")


def _unexpected(error: BaseException) -> None:
    """One line for an exception that is not ours, and how to report it."""
    if os.environ.get(TRACEBACK_VARIABLE):
        ERR.print(marked_up_lines("".join(traceback.format_exception(error))))
    said = " ".join(shortened(str(error), 300).split())
    if isinstance(error, MemoryError):
        _fail(f"memory does not suffice. Fix: give smaller batches, or look at what the file asks for. {said}".strip())
        return
    fix = f"report it with what {TRACEBACK_VARIABLE}=1 shows, and with the file if it is no secret"
    _fail(f"unexpected {type(error).__name__}: {said}. This is a fault of sparse-qonnx. Fix: {fix}.")


def _silence(stream: Any) -> None:
    """Nothing more is written to a stream that takes nothing, so that Python's own last flush does not fail either."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
