"""What TensorBoard imports when it starts. A failure here would end ``tensorboard``, so next to nothing is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorboard.plugins.base_plugin import TBContext, TBLoader

from gradscope.vocabulary import PLUGIN_NAME

if TYPE_CHECKING:
    import argparse

    from gradscope.tensorboard.plugin import GradscopePlugin

__all__ = ["GradscopeLoader"]


class GradscopeLoader(TBLoader):  # type: ignore[misc]  # TensorBoard has no types
    """Named in the entry point group ``tensorboard_plugins``."""

    def fix_flags(self, flags: argparse.Namespace) -> None:
        """Keep every step: by default TensorBoard keeps 100 (or 10) of a plugin it does not know.

        A value that the user gives for this plugin wins.
        """
        sizes: dict[str, int] | None = getattr(flags, "samples_per_plugin", None)
        if sizes is not None:
            sizes.setdefault(PLUGIN_NAME, 0)

    def load(self, context: TBContext) -> GradscopePlugin:
        """The plugin; what it raises, TensorBoard logs and goes on without it."""
        from gradscope.tensorboard.plugin import GradscopePlugin

        return GradscopePlugin(_provider(context))


def _provider(context: Any) -> Any:
    if context.data_provider is None:
        raise RuntimeError("this TensorBoard hands plugins no data provider; use tensorboard >= 2.16")
    return context.data_provider
