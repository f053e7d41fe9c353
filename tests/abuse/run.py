"""Attack a hub in every way, one after the other, and print what each cost: `python -m tests.abuse.run`.

The aim is that round trips of members take at most twice as long at the 99th percentile. The attacker has the lowest
priority, since in life its processors are its own; what it still takes is in the ratio, so read it on a quiet machine.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.abuse.assault import SUSPENDED, Scene
from tests.abuse.attack import ATTACKS


def main() -> None:
    """Run all attacks, or those named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attack", nargs="*", choices=[[], *ATTACKS], help="all when none is named")
    parser.add_argument("--seconds", type=float, default=8.0)
    asked = parser.parse_args()
    for name in asked.attack or ATTACKS:
        with tempfile.TemporaryDirectory() as root:
            scene = Scene(Path(root), is_suspended=name in SUSPENDED)
            try:
                cost = scene.attack(name, asked.seconds)
            finally:
                scene.close()
        print(cost.line(), flush=True)
        told = {what: count for what, count in cost.counted.items() if count and what.startswith(PARTS)}
        print(" " * 18, told, flush=True)


PARTS = ("door.", "link.", "refused.")

if __name__ == "__main__":
    main()
