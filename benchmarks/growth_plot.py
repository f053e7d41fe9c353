"""Draw what `growth.py --json` kept: cost against members, hubs and size, as one SVG.

Arguments: the figures, and the picture to be written. The same figures give the same bytes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure


def main() -> None:
    """Read figures, write a picture."""
    kept: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    mpl.rcParams.update({"svg.hashsalt": "i247", "svg.fonttype": "none", "font.size": 9})
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    for axes, (name, title, lines) in zip(figure.subplots(1, 3), PANELS, strict=True):
        rows = {int(count): row for count, row in kept["series"][name].items()}
        for (column, label), (style, colour) in zip(lines, STYLES, strict=False):
            axes.plot(list(rows), [row[column] / 1e3 for row in rows.values()], style, color=colour, label=label)
        axes.set_title(title)
        axes.set_xlabel(LABELS[name])
        axes.set_ylabel("processor time, ms")
        axes.set_xscale("log", base=2 if name != "members" else 10)
        axes.set_xticks(list(rows), [f"{count:,}" for count in rows], minor=False)
        axes.minorticks_off()
        if name == "kib":
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(sys.argv[2], metadata={"Date": None, "Creator": None})


QUERY: Final = (("query_us", "all"), ("nodes_us", "both nodes"), ("hubs_us", "all hubs"))
PANELS: Final = (
    ("members", "A query and reply, by members", QUERY),
    ("hubs", "A query and reply, by hubs", QUERY),
    ("kib", "One message, by size", (("hub_us", "one hub"), ("seal_us", "seal + sign"), ("open_us", "open + verify"))),
)
LABELS: Final = {"members": "members in the directory", "hubs": "hubs, all connected", "kib": "KiB"}
STYLES: Final = (("o-", "#1b4965"), ("s--", "#bc4749"), ("^:", "#386641"))

if __name__ == "__main__":
    main()
