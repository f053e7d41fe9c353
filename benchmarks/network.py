"""A real network on loopback for measurements: the programs' own processes, founded by their own commands."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.processes.country import Countries  # noqa: E402  the tests' own network, found only now

from i247_keys import key_folder  # noqa: E402
from i247_keys.keyfile import passphrase_from_file  # noqa: E402


def founded(folder: Path, homes: dict[str, str]) -> Countries:
    """Return a network whose member SG answers the register `sltd` to all."""
    network = Countries(folder, homes)
    config = network.config("SG")
    text = config.read_text().replace('# sltd = "registers.db"', 'sltd = "registers.db"')
    config.write_text(text + '\n[policy.registers.sltd]\nopen_to = "all"\n')
    rows = ROOT / "demo/registers/sltd.csv"
    network.run("i247-node", "register", "import", "sltd", rows, "--kind", "documents", "--config", config)
    return network


def link_secret(network: Countries, member: str) -> bytes:
    """Return a member's link key, as its node would read it."""
    folder = network.root / member
    return key_folder.read_link_secret(folder / "link.key", passphrase_from_file(folder / "passphrase"))
