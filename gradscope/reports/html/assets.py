"""The frontend's files: served one by one, or put together for a page that may load nothing."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

__all__ = ["ASSETS", "asset", "bundle"]

ASSETS: dict[str, str] = {
    "app.js": "text/javascript",
    "charts.js": "text/javascript",
    "colors.js": "text/javascript",
    "density.js": "text/javascript",
    "distribution.js": "text/javascript",
    "dom.js": "text/javascript",
    "embedded.js": "text/javascript",
    "grids.js": "text/javascript",
    "heatmap.js": "text/javascript",
    "index.js": "text/javascript",
    "legend.js": "text/javascript",
    "lines.js": "text/javascript",
    "profile.js": "text/javascript",
    "server.js": "text/javascript",
    "style.css": "text/css",
    "theme.js": "text/javascript",
    "uPlot.iife.min.js": "text/javascript",
    "uPlot.min.css": "text/css",
    "verdict.js": "text/javascript",
}
"""``{file: media type}``: everything that may be served."""

_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./([\w.]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:async )?(?:function|class|const) (\w+)", re.MULTILINE)


@cache
def asset(name: str) -> str:
    """The text of one of `ASSETS`.

    Raises:
        KeyError: there is none of that name.
    """
    if name not in ASSETS:
        raise KeyError(name)
    return (files("gradscope.reports.html") / "static" / name).read_text(encoding="utf-8")


@cache
def bundle(entry: str) -> str:
    """One classic script that runs the module ``entry`` and, before it, those it imports.

    A page opened from ``file://`` may not import modules, so each becomes a function that returns its exports. That
    takes modules that write ``import { a, b } from "./file.js";`` and ``export`` in front of a declaration, and that
    import in no circle.

    Raises:
        ValueError: a module is written otherwise, or modules import each other in a circle.
    """
    order: list[str] = []
    _visit(entry, order, ())
    return '"use strict";\nconst modules = {};\n' + "".join(map(_wrapped, order))


def _visit(name: str, order: list[str], path: tuple[str, ...]) -> None:
    if name in path:
        raise ValueError(f"frontend modules import each other in a circle: {' -> '.join((*path, name))}")
    if name in order:
        return
    for _, imported in _IMPORT.findall(asset(name)):
        _visit(imported, order, (*path, name))
    order.append(name)


def _wrapped(name: str) -> str:
    source = asset(name)
    exports = ", ".join(_EXPORT.findall(source))
    body = _IMPORT.sub(lambda found: f"const {found[1].replace(' as ', ': ')} = modules[{found[2]!r}];", source)
    body = re.sub(r"^export (?=(?:async )?(?:function|class|const) )", "", body, flags=re.MULTILINE)
    if re.search(r"^(import|export)\b", body, re.MULTILINE):
        raise ValueError(f"{name}: an import or export that cannot be put into one script; write it as the others are")
    return f"modules[{name!r}] = (() => {{\n{body}\nreturn {{ {exports} }};\n}})();\n"
