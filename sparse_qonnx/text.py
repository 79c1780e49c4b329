"""Text from files, made fit to be shown: nothing that a name holds may act on a terminal or hide from its reader."""

from __future__ import annotations

import reprlib

LONGEST = 2000
"""Characters of one piece of text; of a longer one the beginning and the end are shown."""


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text, without its middle where it is too long."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} ... {len(text) - 2 * half:,} characters ... {text[-half:]}"


def _repr() -> reprlib.Repr:
    found = reprlib.Repr()
    found.maxstring = found.maxother = 200
    found.maxlong = 80
    found.maxlevel, found.maxlist, found.maxtuple, found.maxdict = 3, 8, 8, 8
    return found


_REPR = _repr()


def shown(value: object) -> str:
    """`repr` of what somebody gave, a mapping or a list with the beginning alone: short however large the value is."""
    try:
        return shortened(_REPR.repr(value), 1000)
    except (ValueError, RecursionError):  # an integer with more digits than Python writes
        return f"<{type(value).__name__}>"


def printable(text: str) -> str:
    """The text with control characters, line ends, bidirectional and invisible characters written as escapes."""
    text = shortened(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def marked_up(text: str) -> str:
    """The text for rich, as it is: no markup, and nothing but printable characters."""
    from rich.markup import escape

    return escape(printable(text))


def marked_up_lines(text: str) -> str:
    """Several lines for rich, each as `marked_up`."""
    return "\n".join(marked_up(line) for line in text.splitlines())
