"""`python -m sparse_qonnx.cli` is `sparse-qonnx`."""

import sys

from sparse_qonnx.cli import main

sys.exit(main())
