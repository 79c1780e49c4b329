"""Text from files, made fit to be shown: nothing that a name holds may act on a terminal or hide from its reader."""

from __future__ import annotations

LONGEST = 2000
"""Characters of one piece of text; of a longer one the beginning and the end are shown."""


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text, without its middle where it is too long."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} ... {len(text) - 2 * half:,} characters ... {text[-half:]}"


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
