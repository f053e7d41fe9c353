"""Chapters 1 and 2: the Secretariat founds the directory, and everybody comes on line."""

from __future__ import annotations

from pathlib import Path

from programs import DemoFailed
from stage import HUBS, MEMBERS, Stage, free_endpoints


def found(stage: Stage) -> None:
    """Make all keys and requests, hold the ceremony, and give out the network file and the pin."""
    tell, run = stage.tell, stage.programs.run
    tell.chapter("The Secretariat founds the directory")
    tell.prose(
        "Three officers hold a key each, and any two of them sign. All keyfiles here are protected by the "
        "cheapest Argon2 (--kdf min), which protects nothing: a demonstration need not wait for a safe one."
    )
    endpoints = dict(zip(HUBS, free_endpoints(len(HUBS)), strict=True))
    new = ("i247-keys", "ceremony", "new", "authority", "--keys", "3", "--threshold", "2", *CHEAP)
    hubs = [
        ("i247-hub", "init", hub, "--region", region, "--endpoint", endpoints[hub], "--dir", hub, *CHEAP)
        for hub, region in HUBS.items()
    ]
    nodes = [
        ("i247-node", "init", one.code, "--name", f"en={one.name}", "--home", one.home, "--dir", one.code, *CHEAP)
        for one in MEMBERS.values()
    ]
    stage.programs.run_together(new, *hubs, *nodes)
    tell.event("Secretariat", "makes three keys for its officers, and one for the daily pulse")
    tell.typed(*new)
    tell.event("everybody", "two hubs and four bureaus make their own keys, and send requests signed by them")
    tell.typed(*hubs[0])
    tell.typed(*nodes[0])

    requests = [word for hub in HUBS for word in ("--hub", f"{hub}/{hub}.request")]
    requests += [word for code in MEMBERS for word in ("--member", f"{code}/{code}.request")]
    run("i247-keys", "ceremony", "found", "authority", *requests)
    tell.event("Secretariat", "drafts charter 1 and roster 1 from these requests; they are not valid yet")
    for officer in (1, 3):
        key, passphrase = _taken_away(stage.folder, officer)
        sign = ("i247-keys", "ceremony", "sign", "authority", "--key", key, "--passphrase-file", passphrase)
        said = run(*sign).splitlines()
        tell.event(f"officer {officer}", f"signs both: {'; '.join(said)}")
        tell.typed(*sign[:6])
    run("i247-keys", "ceremony", "publish", "authority")
    run("i247-keys", "ceremony", "pulse", "authority")
    pin = (stage.folder / "authority" / "pin.txt").read_text().strip()
    tell.event("Secretariat", "publishes the network file, with a pulse that is good for a day")
    tell.event("Secretariat", f"tells everybody the pin, the hash of charter 1, by another channel: {pin[:16]}…")
    stage.lay(pin)


def come_on_line(stage: Stage) -> None:
    """Fill Singapore's registers, start all daemons, and show what France and Singapore have configured."""
    tell = stage.tell
    tell.chapter("Two hubs and four bureaus come on line")
    others = [code for code in MEMBERS if code != "SG"]
    stage.launch(*HUBS, *others)
    _open_registers(stage)
    stage.launch("SG")
    stage.wait_for(*HUBS, *MEMBERS)
    for hub in HUBS:
        members = ", ".join(one.name for one in MEMBERS.values() if one.home == hub)
        tell.event(f"hub {hub}", f"is connected with the other hub, and with those at home here: {members}")
    tell.prose("This is all that is configured in France, and then in Singapore:")
    settings = {code: stage.settings(code) for code in ("FR", "SG")}
    for code, lines in settings.items():
        tell.quote([f"{code}/node.toml", *(f"  {line}" for line in lines)])
    _require_unknown(settings["FR"], "SG", "Singapore", *HUBS, "tcp:")
    _require_unknown(settings["SG"], "FR", "France", *HUBS, "tcp:")
    tell.prose(
        "Neither names the other, nor a hub, nor an address. What they have in common is the pin: whatever the "
        "directory says is believed as far as it follows from that."
    )


def _taken_away(folder: Path, officer: int) -> tuple[str, str]:
    """Let an officer take key and passphrase out of the ceremony's folder; return where they are now."""
    own = Path(f"officer-{officer}")
    (folder / own).mkdir(mode=0o700)
    for kind in ("key", "passphrase"):
        name = f"secretariat-{officer}.{kind}"
        (folder / "authority" / name).rename(folder / own / name)
    return str(own / f"secretariat-{officer}.key"), str(own / f"secretariat-{officer}.passphrase")


def _open_registers(stage: Stage) -> None:
    stage.change("SG", '# sltd = "registers.db"', 'sltd = "registers.db"\nwatchlist = "registers.db"')
    with stage.config("SG").open("a") as config:
        config.write(SINGAPORES_POLICY)
    for register, kind in (("sltd", "documents"), ("watchlist", "persons")):
        rows = Path(__file__).parent / "registers" / f"{register}.csv"
        load = ("i247-node", "register", "import", register, rows, "--kind", kind, "--config", "SG/node.toml")
        said = stage.programs.run(*load).strip()
        stage.tell.event("Singapore", f"fills a register with invented data: {said}")


def _require_unknown(settings: list[str], *names: str) -> None:
    for line in settings:
        if any(name in line for name in names):
            raise DemoFailed(
                f"a configuration names another country, or a hub: {line}", "this must not be: please report it"
            )


CHEAP = ("--kdf", "min")
SINGAPORES_POLICY = """
[policy.registers.sltd]
open_to = "all"

[policy.registers.watchlist]
open_to = ["XP"]
"""
