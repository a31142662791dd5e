"""The page in the place of a dashboard that cannot be shown. Pure.

Guarantees that it says why, and that words from elsewhere stay words. Refuses scripts: it looks
again by itself with a header of HTML.
"""

from __future__ import annotations

from html import escape

# What a person waits for is seconds away: a Pod that starts, a node that comes.
LOOK_AGAIN_S = 3

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
{again}<title>{title}</title>
<style>
  body {{ font: 14px/1.5 system-ui, sans-serif; margin: 4em auto; max-width: 36em; padding: 0 1em }}
  h1 {{ font-size: 1.2em }}
</style>
<h1>{title}</h1>
<p>{message}</p>
<p>{hint}</p>
</html>
"""


def build_unavailable_page(title: str, message: str, fix: str | None, *, looks_again: bool) -> str:
    """Build the page.

    Examples
    --------
    >>> "&lt;b&gt;" in build_unavailable_page("<b>", "", None, looks_again=False)
    True
    """
    again = f'<meta http-equiv="refresh" content="{LOOK_AGAIN_S}">\n' if looks_again else ""
    hints = [fix or "", "This page looks again by itself." if looks_again else ""]
    return _PAGE.format(
        again=again,
        title=escape(title),
        message=escape(message),
        hint=escape(" ".join(hint for hint in hints if hint)),
    )
