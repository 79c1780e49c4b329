"""The process that runs the notebooks: this Python, its chatter on stderr in a file.

TensorFlow and ipykernel write to the process's stderr, past the notebook. What a cell itself writes there, and every
traceback, is in the page or in the error of the build all the same.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

NAME = "python3"
COLUMNS = 84
"""Width of rich's tables: what fits the page."""


def use_quiet_kernel(folder: Path) -> None:
    """Make `python3` mean this Python for every notebook that this process runs; `folder` holds its description."""
    spec = folder / "kernels" / NAME / "kernel.json"
    spec.parent.mkdir(parents=True, exist_ok=True)
    script = 'exec "$0" -m ipykernel_launcher -f "$1" 2>>"$2"'
    argv = ["sh", "-c", script, sys.executable, "{connection_file}", str(folder / "stderr.log")]
    kernel = {"argv": argv, "display_name": "Python 3", "language": "python", "env": {"JUPYTER_COLUMNS": str(COLUMNS)}}
    spec.write_text(json.dumps(kernel), encoding="utf-8")
    os.environ["JUPYTER_PATH"] = os.pathsep.join([str(folder), *filter(None, [os.environ.get("JUPYTER_PATH")])])
