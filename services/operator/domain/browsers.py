"""What a browser calls itself, in a few words: as the console's browsers.js has it of visitors' browsers.

The names and their order are those of MDN's page "Browser detection using the user agent string": nearly
every browser says that it is others too.
"""

from __future__ import annotations

import re

#: As much as is looked at (characters), and as much as is kept of one that is not known.
MAX_AGENT = 512
MAX_UNKNOWN = 40

_BROWSERS = (
    ("Edge", re.compile(r"\bEdg(?:A|iOS)?/(\d+)")),
    ("Opera", re.compile(r"\bOPR/(\d+)")),
    ("Samsung Internet", re.compile(r"\bSamsungBrowser/(\d+)")),
    ("Firefox", re.compile(r"\b(?:Firefox|FxiOS)/(\d+)")),
    ("Chrome", re.compile(r"\b(?:HeadlessChrome|Chrome|CriOS)/(\d+)")),
    ("Safari", re.compile(r"\bVersion/(\d+)(?=[^/]*(?:/[^/]*){0,2} Safari/)")),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def browser_name(user_agent: str) -> str:
    """Such as "Firefox 128, Windows"; of what is not known the beginning of what it says."""
    agent = "".join(letter for letter in user_agent[:MAX_AGENT] if letter.isprintable())
    for name, pattern in _BROWSERS:
        if found := pattern.search(agent):
            system = next((title for word, title in _SYSTEMS if word in agent), "")
            return f"{name} {found[1][:9]}" + (f", {system}" if system else "")
    return agent[:MAX_UNKNOWN].strip()
