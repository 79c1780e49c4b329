"""The documentation site: `make docs` builds it into `build/docs`; every warning is an error.

Pages that say what the code says about itself are written by the scripts of `docs/generate` before the build.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # for the notebooks' processes
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from generate import write_pages  # noqa: E402
from generate.docstrings import code_as_in_markdown  # noqa: E402
from generate.kernel import use_quiet_kernel  # noqa: E402
from generate.links import link_to_repository  # noqa: E402
from generate.navigation import name_the_rest  # noqa: E402

import sparse_qonnx  # noqa: E402

use_quiet_kernel(HERE.parent / "build" / "jupyter")

project = "sparse-qonnx"
author = "the sparse-qonnx contributors"
release = version = sparse_qonnx.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "_generated/*.ipynb", "_generated/supported.md"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_show_tb = True
nb_merge_streams = True

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_type_aliases = {name: name for name in ("Array", "ArrayLike", "Source", "Progress")}
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"sparse-qonnx {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
templates_path: list[str] = []


def setup(app: object) -> None:
    """Write the generated pages, name pages that the navigation does not, and see to links and docstrings."""
    write_pages(HERE)
    app.connect("missing-reference", link_to_repository)  # type: ignore[attr-defined]
    app.connect("source-read", name_the_rest)  # type: ignore[attr-defined]
    app.connect("autodoc-process-docstring", code_as_in_markdown)  # type: ignore[attr-defined]
