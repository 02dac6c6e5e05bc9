"""All remedies in one picture: each row a trick, an arrow from before to after."""

from __future__ import annotations

from pathlib import Path

from catalogue.bench import Measured, Trick

SICK, HEALTHY = "tab:red", "tab:green"


def draw(rows: list[tuple[Trick, Measured, Measured]], path: Path) -> None:
    """Gradient per layer and test accuracy, before and after; red where gradscope finds an error."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(8.6, 0.24 * len(rows) + 1.2), sharey=True)
    panels = (("decay", "gradient kept per layer"), ("accuracy", "test accuracy"))
    for axis, (name, label) in zip(axes, panels, strict=True):
        for row, (_, before, after) in enumerate(rows):
            values = [getattr(before, name), getattr(after, name)]
            axis.plot(values, [row, row], color="0.75", linewidth=1.5, zorder=1)
            for measured, value, marker in zip((before, after), values, ("o", ">"), strict=True):
                axis.scatter(value, row, marker=marker, s=34, color=HEALTHY if measured.healthy else SICK, zorder=2)
        axis.set_xlabel(label)
        axis.grid(axis="x", alpha=0.3)
    axes[0].set(xscale="log", xlim=(1e-3, 5.0))
    axes[1].set_xlim(0.0, 1.02)
    axes[0].set_yticks(range(len(rows)), [f"{trick.family}: {trick.name}" for trick, *_ in rows], fontsize=8)
    axes[0].invert_yaxis()
    figure.suptitle("● before  ▶ after; red where gradscope finds an error", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
