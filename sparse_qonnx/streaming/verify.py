"""`sparse-qonnx verify` over events that do not fit in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from onnx import ModelProto

from sparse_qonnx.comparison import Report
from sparse_qonnx.datasets.events import Events, files_of
from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.files import read_model
from sparse_qonnx.runtime import affordable_batch
from sparse_qonnx.streaming.resume import Resumable
from sparse_qonnx.streaming.run import Progress, work_key
from sparse_qonnx.streaming.spans import Runner, cut, run_here
from sparse_qonnx.verify import BATCH, Verifier

SPAN_BATCHES = 4
"""Batches of a span: comparing takes hundreds of times as long as running, so a span is short."""


@dataclass(frozen=True)
class VerifyJob:
    """Comparing the implementations of a model.

    Attributes:
        verifier: gives them; what can be sent to another process where the job is.
        batch: events that are compared at a time.
        events: all of them.
    """

    verifier: Callable[[], Verifier]
    batch: int
    events: Events

    def __call__(self, start: int, stop: int) -> Report:
        """The report of these events."""
        verifier = self.verifier()
        first, *others = (verifier.compare(self.events.read(*span)) for span in cut(start, stop, self.batch))
        return sum(others, first)


@lru_cache(maxsize=1)
def _verifier(model: bytes) -> Verifier:
    return Verifier(read_model(model))


def verify_events(
    model: ModelProto,
    events: Events,
    *,
    verifier: Verifier | None = None,
    output: Path | None = None,
    options: Mapping[str, Any] | None = None,
    batch: int = BATCH,
    restart: bool = False,
    runner: Runner = run_here,
    progress: Progress | None = None,
) -> Report:
    """Compare all implementations of a model, a few events at a time; see `sparse_qonnx.verify.verify`.

    Args:
        model: the model.
        events: what to compare on.
        verifier: implementations that live in this process; by default those that need the file alone, which can be run
            anywhere.
        output: JSON file for the report; with it, an interrupted comparison is gone on with (see `Resumable`).
        options: what else the report depends on, ready for JSON.
        batch: events that are compared at a time.
        restart: begin again whatever an earlier run left.
        runner: where the spans are compared.
        progress: called with the events done and the events in all.

    Raises:
        ConfigurationError: if an earlier run with the same output was of something else.
        OutputPathError: if it cannot be written.
        InputDataError: if an input file is damaged or changed meanwhile.
    """
    build = partial(_verifier, model.SerializeToString()) if verifier is None else lambda: verifier
    batch = affordable_batch(model, batch)
    job = VerifyJob(build, batch, events)
    key = work_key(model, events, batch=batch, **(options or {}))
    with (
        nullcontext()
        if output is None
        else Resumable(output, key, restart, [file.path for file in files_of(events)]) as file
    ):
        report = _position(file, len(events)) if file is not None else None
        spans = cut(report.events if report else 0, len(events), batch * SPAN_BATCHES)
        for found in runner(job, spans):
            report = found if report is None else _sum(report, found, output)
            if file is not None:
                file.done({"report": report.to_dict()})
            if progress is not None:
                progress(report.events, len(events))
        assert report is not None, "there is at least one event"
        if file is not None:
            file.append((json.dumps(report.to_dict(), indent=1) + "\n").encode())
            file.complete()
    return report


def _sum(report: Report, found: Report, output: Path | None) -> Report:
    try:
        return report + found
    except ValueError as error:
        where, fix = f"state of output {str(output)!r}", "give --restart to begin again"
        raise ConfigurationError(where, f"holds {error}", fix=fix) from error


def _position(file: Resumable, total: int) -> Report | None:
    """The report of the events that an interrupted run compared; the work begins again if that is none."""
    if not file.progress:
        return None
    try:
        report = Report.from_dict(file.progress["report"])
        if file.size == 0 and 0 < report.events <= total:
            return report
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    file.begin_again("what an interrupted run left is no report")
    return None
