"""The built site is whole and needs no network: `python docs/check_site.py build/docs`.

Every local link leads to a file and, with a fragment, to an element of it; no page loads anything from elsewhere.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

LOADED = {("img", "src"), ("script", "src"), ("source", "src"), ("iframe", "src"), ("link", "href")}
"""What a browser fetches by itself; a link to click may lead anywhere."""
_CSS_URL = re.compile(r"""(?:url\(\s*['"]?|@import\s+['"])(?P<url>(?:https?:)?//[^'")\s]+)""")


class Page(HTMLParser):
    """Ids and links of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.foreign: list[str] = []
        self.feed(text)
        self.foreign += [found["url"] for found in _CSS_URL.finditer(text)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect ids, and what `href` and `src` name."""
        given = dict(attrs)
        self.ids |= {value for key in ("id", "name") if (value := given.get(key))}
        for key in ("href", "src"):
            value = given.get(key)
            if value is None:
                continue
            if not urlsplit(value).scheme and not value.startswith("//"):
                self.links.append(value)
            elif (tag, key) in LOADED and not value.startswith("data:"):
                self.foreign.append(value)


def problems(site: Path) -> list[str]:
    """A line for every dead link and everything loaded from elsewhere."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    found = [f"{path.relative_to(site.resolve())}: loads {url}" for path, page in pages.items() for url in page.foreign]
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        found += [f"{style.relative_to(site)}: loads {match['url']}" for match in _CSS_URL.finditer(text)]
    for path, page in pages.items():
        for link in page.links:
            place, fragment = urldefrag(link)
            target = (path.parent / unquote(urlsplit(place).path)).resolve() if place else path
            is_there = target.is_file() and (not fragment or target not in pages or fragment in pages[target].ids)
            if not is_there:
                found.append(f"{path.relative_to(site.resolve())}: dead link {link}")
    return found


def main() -> int:
    """Print the problems; 0 when there are none."""
    site = Path(sys.argv[1])
    found = problems(site)
    print(
        "\n".join(found)
        or f"{len(list(site.rglob('*.html')))} pages: every local link leads somewhere, nothing is loaded"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
