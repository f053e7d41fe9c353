"""Show the network at work: real daemons on this machine, from the founding of the directory to a notice's receipt.

`make demo` runs it; `make demo KEEP=1` leaves the network up and says how to talk to it. Everything happens in a fresh
temporary folder and on 127.0.0.1. Nothing is left running or lying about, unless that was asked for; after a failure
the folder is left, so that it can be looked into.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from founding import come_on_line, found
from i247_protocol.errors import CallerFault, WorldFault
from programs import DemoFailed, Programs, end_process
from scenes import ask, look_into_hubs, publish
from stage import Stage
from telling import Teller


def main() -> int:
    """Run the demonstration, or stop one that was left running; return the exit code."""
    words = argparse.ArgumentParser(description="Show two countries that share nothing but the directory.")
    words.add_argument("--keep", action="store_true", help="leave the network running")
    words.add_argument("--stop", type=Path, metavar="FOLDER", help="stop a network that was left running")
    options = words.parse_args()
    if options.stop is not None:
        return stop_left(options.stop)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    return show(is_kept=options.keep)


def show(*, is_kept: bool) -> int:
    """Run the demonstration in a new folder."""
    folder = Path(tempfile.mkdtemp(prefix="i247-demo-"))
    programs = Programs(folder)
    is_left_running = is_left_lying = False
    try:
        tell_all(Stage(programs, Teller(sys.stdout)))
        if is_kept:
            leave_running(programs)
            is_left_running = is_left_lying = True
    except (DemoFailed, CallerFault, WorldFault) as fault:
        _tell_failure(fault, programs)
        is_left_lying = True
        return 1
    except KeyboardInterrupt:
        print("\nerror: interrupted\nhint: all is stopped and removed; run it again when ready", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would leave something running
        if not is_left_running:
            programs.stop_all()
        if not is_left_lying:
            shutil.rmtree(folder)
    return 0


def tell_all(stage: Stage) -> None:
    """Tell the story from its beginning to its end."""
    began = time.monotonic()
    tell = stage.tell
    tell.title("i247: two countries that share nothing but the directory")
    tell.prose(f"Real programs, in {stage.folder} and on 127.0.0.1 alone. All data is invented, or a printed specimen.")
    found(stage)
    come_on_line(stage)
    ask(stage)
    held = publish(stage)
    look_into_hubs(stage, held)
    tell.end(f"The end, after {time.monotonic() - began:.0f} s.")


def leave_running(programs: Programs) -> None:
    """Note what runs, and say how to talk to it and how to stop it."""
    folder = programs.folder
    (folder / RUNNING).write_text(json.dumps([daemon.process.pid for daemon in programs.daemons]))
    stop = folder / "stop"
    script = shlex.join([sys.executable, str(Path(__file__).resolve()), "--stop", str(folder)])
    stop.write_text(f"#!/bin/sh\nexec {script}\n")
    stop.chmod(0o700)
    tell = Teller(sys.stdout)
    tell.prose("The network stays up. Talk to it from any terminal:")
    tell.commands(
        [
            f"cd {folder}; export PATH={Path(sys.executable).parent}:$PATH",
            "i247-node query SG sltd --document UTO SPEC10003 --purpose border-control --config FR/node.toml",
            "i247-node write BR --subject Hello --text Hello --purpose administration --config SG/node.toml",
            "i247-node inbox --config BR/node.toml",
            "i247-node status --config XP/node.toml",
            "i247-hub status --config lyon/hub.toml",
            f"python {Path(__file__).resolve().with_name('embed_example.py')} FR/state/node.sock",
        ]
    )
    tell.prose("Stop it, and remove the folder:")
    tell.commands([str(stop)])


def stop_left(folder: Path) -> int:
    """Stop what an earlier demonstration left running in `folder`, and remove that."""
    try:
        pids = json.loads((folder / RUNNING).read_text())
    except OSError:
        print(f"error: no demonstration was left running in {folder}\nhint: give its folder", file=sys.stderr)
        return 1
    for pid in pids:
        end_process(pid, folder)
    shutil.rmtree(folder)
    print(f"stopped, and removed {folder}")
    return 0


def _tell_failure(fault: DemoFailed | CallerFault | WorldFault, programs: Programs) -> None:
    error, logs = (fault.error, fault.logs) if isinstance(fault, DemoFailed) else (fault.doing, programs.log_files())
    for log in logs:
        print(f"--- the end of {log}", file=sys.stderr)
        for line in log.read_text(errors="replace").splitlines()[-LOG_LINES:]:
            print(f"    {line}", file=sys.stderr)
    print(f"error: {error}\nhint: {fault.hint} ({programs.folder})", file=sys.stderr)


def _interrupted(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


RUNNING = "running.json"
LOG_LINES = 12

if __name__ == "__main__":
    sys.exit(main())
