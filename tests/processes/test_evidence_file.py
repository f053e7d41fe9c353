"""An officer writes an evidence file with the program, and somebody without any network judges it."""

import json
import re
from pathlib import Path

import pytest
from tests.processes.country import Countries, until

LETTER = ("--subject", "s", "--text", "t", "--purpose", "investigation")


@pytest.mark.timeout(120)
def test_evidence_is_written_and_judged(tmp_path: Path) -> None:
    countries = Countries(tmp_path, {"FR": "lyon", "SG": "singapore", "XP": "lyon"})
    try:
        for name in ("lyon", "singapore", "SG", "FR"):
            countries.start(name)
        config = ("--config", countries.config("FR"))

        until(lambda: any(countries.root.glob("FR/**/*.sock")), countries.logs)
        asked = countries.run("i247-node", "write", "SG", *LETTER, *config, "--json")
        message = json.loads(asked)["id"]

        def settled() -> bool:
            shown = countries.run("i247-node", "trace", message, *config)
            return "receipt" in shown

        until(settled, countries.logs)
        file = tmp_path / "message.evidence"
        written = countries.run("i247-node", "evidence", message, "--out", file, *config)
        assert f"wrote {file}" in written
        pin = (countries.root / "authority" / "pin.txt").read_text().strip()
        countries.close()

        judged = countries.run("i247-keys", "evidence", "verify", file, "--pin", pin)
        assert "acknowledged by its recipient" in judged
        assert "nobody is accused" in judged
        found = json.loads(countries.run("i247-keys", "evidence", "verify", file, "--pin", pin, "--json"))
        (course,) = found["courses"]
        assert [(step["hops"], step["by"]) for step in course["steps"]] == [(0, "lyon"), (1, "singapore"), (2, "SG")]
        assert re.fullmatch(r"[0-9a-f]{64}", found["sid"])
    finally:
        countries.close()
