"""GradscopePlugin: serves the frontend, and what it draws, inside TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from tensorboard import errors, plugin_util
from tensorboard.backend.http_util import Respond
from tensorboard.plugins.base_plugin import FrontendMetadata, TBPlugin
from werkzeug import wrappers

from gradscope.reports.html.assets import ASSETS, asset
from gradscope.reports.html.densities import DENSITY_KINDS, TYPICAL_BUCKETS, densities, density_axis
from gradscope.reports.html.description import describe, vocabulary
from gradscope.reports.html.grids import axis_of, profile_grids, progress_grid, series_grid
from gradscope.reports.html.packing import pack_densities, pack_grids
from gradscope.reports.html.series import SERIES
from gradscope.reports.wording import plain
from gradscope.tensorboard.memory import Judged, Memory
from gradscope.tensorboard.provided_run import ProvidedRuns
from gradscope.vocabulary import PLUGIN_NAME

__all__ = ["GradscopePlugin"]

_BINARY = "application/octet-stream"
_JSON = "application/json"
_MOST_COLUMNS = 4000
_DENSITY_CELLS = 2_000_000
_MOST_DENSITY_COLUMNS = 200

Handler = Callable[[wrappers.Request, ProvidedRuns], tuple[Any, str]]


class GradscopePlugin(TBPlugin):  # type: ignore[misc]  # TensorBoard has no types
    """Routes below ``data/plugin/gradscope/``.

    Wrong parameters are answered with 400, unknown runs with 404, other methods than GET and HEAD with 405, each with
    one line. Only files of `gradscope.reports.html.assets.ASSETS` are served, each by a route of its own.
    """

    plugin_name = PLUGIN_NAME

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._memory = Memory()

    def get_plugin_apps(self) -> dict[str, Any]:
        """``{route: WSGI app}``."""
        data: dict[str, Handler] = {
            "/vocabulary": lambda _, __: (vocabulary(), _JSON),
            "/fingerprint": self._fingerprint,
            "/runs": self._runs,
            "/run": self._run,
            "/grids": self._grids,
            "/densities": self._densities,
        }
        assets = {f"/{name}": _checked(partial(_asset, name)) for name in ASSETS}
        return assets | {route: _checked(self._with_runs(handler)) for route, handler in data.items()}

    def is_active(self) -> bool:
        """False: TensorBoard itself looks for data of `data_plugin_names`, and shows the tab where there is some."""
        return False

    def frontend_metadata(self) -> FrontendMetadata:
        """The tab."""
        return FrontendMetadata(es_module_path="/index.js", tab_name="Gradient flow")

    def _with_runs(self, handler: Handler) -> Callable[[wrappers.Request], tuple[Any, str]]:
        def handle(request: wrappers.Request) -> tuple[Any, str]:
            context = plugin_util.context(request.environ)
            experiment = plugin_util.experiment_id(request.environ)
            return handler(request, ProvidedRuns(self._provider, context, experiment))

        return handle

    def _fingerprint(self, _: wrappers.Request, runs: ProvidedRuns) -> tuple[Any, str]:
        return {"fingerprint": _fingerprint(runs.tags())}, _JSON

    def _runs(self, _: wrappers.Request, runs: ProvidedRuns) -> tuple[Any, str]:
        """Names, and the verdicts that finished runs recorded of themselves: judging all would take long."""
        tags = runs.tags()
        said = runs.findings()
        names = [
            {"name": name, "label": plain(name), "health": str(said.get(name, {}).get("verdict", ""))} for name in tags
        ]
        return {"runs": names, "fingerprint": _fingerprint(tags)}, _JSON

    def _run(self, request: wrappers.Request, runs: ProvidedRuns) -> tuple[Any, str]:
        return describe(self._judged(request, runs).shown), _JSON

    def _grids(self, request: wrappers.Request, runs: ProvidedRuns) -> tuple[Any, str]:
        columns = _number(request, "columns", 1000, most=_MOST_COLUMNS)
        judged = self._judged(request, runs)
        axis = axis_of(judged.run.steps, columns)
        series = [series_grid(judged.run, judged.layers, each, axis) for each in SERIES.values()]
        profile = profile_grids(judged.run, judged.layers, axis)
        return pack_grids(axis, [*series, *profile, progress_grid(judged.run, axis)]), _BINARY

    def _densities(self, request: wrappers.Request, runs: ProvidedRuns) -> tuple[Any, str]:
        kind = request.args.get("kind", DENSITY_KINDS[0])
        if kind not in DENSITY_KINDS:
            raise errors.InvalidArgumentError(f"kind={plain(kind)[:80]!r}; give one of {', '.join(DENSITY_KINDS)}")
        judged = self._judged(request, runs)
        columns = max(_DENSITY_CELLS // (TYPICAL_BUCKETS * max(len(judged.layers), 1)), 10)
        axis = density_axis(judged.run, min(columns, _MOST_DENSITY_COLUMNS))
        return pack_densities(axis, densities(judged.run, judged.layers, kind, axis)), _BINARY

    def _judged(self, request: wrappers.Request, runs: ProvidedRuns) -> Judged:
        name = request.args.get("run")
        if name is None:
            raise errors.InvalidArgumentError("no run is given; ask for ?run=NAME with a name that ./runs lists")
        tags = runs.tags()
        if name not in tags:
            raise errors.NotFoundError(f"no run {plain(name)[:200]!r} with gradscope's data; ./runs lists them")
        key = (runs.experiment, name)
        return self._memory.get(key, _fingerprint({name: tags[name]}), lambda: runs.read(name, tags[name]))


def _checked(handle: Callable[[wrappers.Request], tuple[Any, str]]) -> Any:
    """A WSGI app: other methods than GET and HEAD are refused, JSON is strict."""

    @wrappers.Request.application
    def app(request: wrappers.Request) -> Any:
        if request.method not in ("GET", "HEAD"):
            message = f"{plain(request.method)[:20]} is not allowed here; use GET"
            return Respond(request, message, "text/plain", code=405, headers=[("Allow", "GET, HEAD")])
        content, kind = handle(request)
        return Respond(request, json.dumps(content) if kind == _JSON else content, kind)

    return app


def _asset(name: str, _: wrappers.Request) -> tuple[Any, str]:
    return asset(name), ASSETS[name]


def _number(request: wrappers.Request, name: str, default: int, *, most: int) -> int:
    text = request.args.get(name, str(default))
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if not 1 <= number <= most:
        raise errors.InvalidArgumentError(f"{name}={plain(text)[:40]!r}; give a whole number from 1 to {most}")
    return number


def _fingerprint(tags: dict[str, dict[str, Any]]) -> str:
    """Changes whenever a step is recorded: the newest step and time of each tag."""
    newest = [
        [run, tag, series.max_step, series.max_wall_time] for run, each in tags.items() for tag, series in each.items()
    ]
    return str(hash(json.dumps(sorted(newest))))
