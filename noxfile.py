"""`nox`: the tests with the oldest and the newest releases that are supported; docs/versions.md has the results.

    nox -s core         without Keras: the built wheel in an empty environment, for every Python that is there
    nox -s keras        with Keras
    nox -s sdist        the wheel that the sdist gives

`oldest` are the lower bounds of pyproject.toml, `newest` what pip finds. A Python that is not installed is skipped.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import nox
from packaging.requirements import Requirement

PYTHONS = ["3.11", "3.12", "3.13"]
RELEASES = ["oldest", "newest"]
HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUNNERS = [r for r in PROJECT["optional-dependencies"]["dev"] if r.startswith(("pytest", "hypothesis"))]

CORE = [
    "test_grid", "test_proofs", "test_proofs_quantizer", "test_quantizer_call", "test_ops", "test_passes",
    "test_runtime", "test_standard",
    "test_threads", "test_cli_errors", "test_native_safety", "test_native_kernels", "test_native_fusion",
]  # fmt: skip
KERAS = ["test_export_quantizers", "test_export_loading", "test_export_refusals", "test_cli_export"]

nox.options.sessions = ["core", "keras"]
nox.options.error_on_missing_interpreters = False


def bounds(python: str, *extras: str) -> list[str]:
    """The oldest releases that are allowed with a version of Python.

    With extras those of the extras only: what they need themselves, such as numpy 2, excludes the oldest of the rest.
    """
    named = [r for e in extras for r in PROJECT["optional-dependencies"][e]] or PROJECT["dependencies"]
    found = []
    for requirement in map(Requirement, named):
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            (lowest,) = (bound.version for bound in requirement.specifier if bound.operator == ">=")
            found.append(f"{requirement.name}=={lowest}")
    return found


def run(session: nox.Session, releases: str, tests: list[str], *extras: str, marks: str = "") -> None:
    """Install a wheel and run tests outside of the source tree, where only what is installed can be imported."""
    folder = Path(session.create_tmp()).resolve()
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(HERE))
    (wheel,) = folder.glob("*.whl")
    named = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
    session.install(named, *RUNNERS, *(bounds(str(session.python), *extras) if releases == "oldest" else []))
    for name in ("tests", "docs", "pyproject.toml", "README.md"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(HERE / name)
    session.chdir(folder)
    session.run("python", "-m", "pytest", "-q", "-m", marks, *(f"tests/{name}.py" for name in tests), *session.posargs)


@nox.session(python=PYTHONS)
@nox.parametrize("releases", RELEASES)
def core(session: nox.Session, releases: str) -> None:
    """Everything that needs no Keras."""
    run(session, releases, CORE, marks="not csim")


@nox.session(python=PYTHONS)
@nox.parametrize("releases", RELEASES)
def keras(session: nox.Session, releases: str) -> None:
    """The export."""
    run(session, releases, KERAS, "keras", "csim")


@nox.session(python=PYTHONS[0])
def sdist(session: nox.Session) -> None:
    """The sdist is whole: it builds a wheel that is tested as the others are."""
    session.run("python", "-m", "pytest", "-q", str(HERE / "tests" / "test_packaging_wheel.py"), *session.posargs)
