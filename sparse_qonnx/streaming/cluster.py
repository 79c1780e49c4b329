"""Spans on the workers of a Dask cluster that is already there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sparse_qonnx
from sparse_qonnx.datasets.events import Events, files_of
from sparse_qonnx.datasets.files import ArrayFile
from sparse_qonnx.errors import InputDataError, SparseQonnxError, ToolError
from sparse_qonnx.streaming.spans import Job, Runner, Span

TIMEOUT = 10
"""Seconds to wait for the scheduler, and for its first worker."""
AHEAD = 2
"""Spans under way for each thread of the cluster: the next is there when one is done, and few wait to be written."""


@contextmanager
def connect(address: str, events: Events) -> Iterator[Runner]:
    """A runner that spreads spans over a cluster, for as long as the context lasts.

    Workers read the events themselves: the files must be there under the same paths, as on a shared file system.

    Args:
        address: of the scheduler, such as `tcp://host:8786`.
        events: what will be run over.

    Raises:
        ToolError: if `distributed` is not installed, the cluster does not answer, or a worker has no or another
            sparse_qonnx.
        InputDataError: if a worker does not see the files.
    """
    try:
        from distributed import Client
    except ImportError as error:
        fix = "pip install 'sparse-qonnx[cluster]'"
        raise ToolError("--dask", "needs the package distributed, which is not installed", fix=fix) from error
    where = f"Dask cluster {address!r}"
    try:
        client = Client(address, timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ToolError(where, f"does not answer: {error}", fix="start dask scheduler, check the address") from error
    with client:
        _wait(client, where)
        _check(client, where, events)
        yield lambda job, spans: _run(client, job, spans)


def _wait(client: Any, where: str) -> None:
    try:
        client.wait_for_workers(1, timeout=TIMEOUT)
    except TimeoutError as error:
        raise ToolError(where, f"has no worker after {TIMEOUT} s", fix="start dask worker") from error


def _check(client: Any, where: str, events: Events) -> None:
    """Every worker must have this package and see the same files."""
    files = files_of(events)
    for worker, found in client.run(look, files, on_error="return").items():
        if isinstance(found, Exception):
            fix = f"install sparse-qonnx {sparse_qonnx.__version__} there"
            raise ToolError(f"{where}, worker {worker}", f"cannot run sparse_qonnx: {found}", fix=fix)
        version, problem = found
        if version != sparse_qonnx.__version__:
            fix = f"install sparse-qonnx {sparse_qonnx.__version__} there"
            raise ToolError(f"{where}, worker {worker}", f"has sparse_qonnx {version}", fix=fix)
        if problem:
            fix = "put the files where all workers see them under the same path"
            raise InputDataError(f"{where}, worker {worker}", problem, fix=fix)


def look(files: Sequence[ArrayFile]) -> tuple[str, str]:
    """On a worker: its version of this package, and what is wrong with the files as it sees them."""
    missing = next((file for file in files if file.changed), None)
    return sparse_qonnx.__version__, f"does not see {missing.where} as it is here" if missing else ""


def call(job: Job[Any], span: Span) -> Any:
    """On a worker: one span. An error of ours comes back as a value, so that Dask does not try again and log it."""
    try:
        return job(*span)
    except SparseQonnxError as error:
        return error


def _run(client: Any, job: Job[Any], spans: Sequence[Span]) -> Iterator[Any]:
    """Results in order, a window of spans under way; a worker that is lost has its spans run by another."""
    from distributed import CancelledError, KilledWorker

    (shared,) = client.scatter([job], broadcast=True)
    threads = sum(client.nthreads().values())
    waiting: deque[Any] = deque()
    remaining = iter(spans)
    try:
        while True:
            for span in remaining:
                waiting.append(client.submit(call, shared, span, pure=False))
                if len(waiting) >= AHEAD * threads:
                    break
            if not waiting:
                return
            found = waiting.popleft().result()
            if isinstance(found, SparseQonnxError):
                raise found
            yield found
    except (CancelledError, KilledWorker, OSError) as error:
        raise ToolError("Dask cluster", f"lost the work: {error}", fix="run again: it goes on where it is") from error
    finally:
        client.cancel(list(waiting))
