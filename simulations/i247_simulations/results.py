"""Fix the shape of what a run tells: `result.json`, and the failure that can be replayed.

Whoever draws, compares or merges runs reads these and nothing else. A field is added with a new `schema`, and never
changes its meaning; a file of another schema is refused, since its run can be made again. Instants are milliseconds of virtual time since the run began, latencies are
milliseconds; quantiles are over whole runs. docs/simulation.md 5.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from i247_simulations.faults import Fault
from i247_simulations.scenario import Scenario

SCHEMA: Final = 2
"""Of results and swarms. 2: latencies by priority, ends of questions, what senders owe, who watched, the command, the scenario; swarms."""
FAILURE_SCHEMA: Final = 2


class Verdict(StrEnum):
    """How a run ended."""

    HOLDS = "holds"
    BROKEN = "broken"
    NO_VERDICT = "no-verdict"


class Breach(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One promise that was broken: which, when, by whom, and what was seen; `message` is an evidence id in hex or ""."""

    promise: str
    checker: str
    at_ms: int
    program: str
    what: str
    message: str


class Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long one kind of message took from its acceptance to the recipient's commit."""

    kind: str
    count: int
    p50_ms: int
    p95_ms: int
    p99_ms: int
    max_ms: int
    histogram: tuple[tuple[int, int], ...]
    """(upper edge in ms, how many), edges growing by a twentieth; empty buckets are left out."""


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the world looked like at one instant; one for each `sample_ms`."""

    at_ms: int
    accepted: int
    """Messages taken from users since the run began."""
    delivered: int
    """Deliveries acknowledged since the run began."""
    waiting: dict[str, int]
    """Rows that wait at each hub."""
    frames: dict[str, int]
    """Frames that each hub has sent since the run began."""
    p50_ms: int
    """Of what was received since the sample before; 0 when nothing was."""
    p99_ms: int
    owed: int
    """Deliveries that senders have saved and that have not ended."""


class Flow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What went from one program to another."""

    sender: str
    receiver: str
    frames: int
    bytes: int


class Moment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step in the life of a message."""

    at_ms: int
    program: str
    what: str


class Life(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of one message, from its acceptance on."""

    message: str
    kind: str
    sender: str
    recipients: tuple[str, ...]
    moments: tuple[Moment, ...]


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One part of a run: warm-up, chaos, heal or quiet."""

    name: str
    begin_ms: int
    end_ms: int


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that one run tells."""

    schema: int
    version: str
    scenario: str
    scenario_hash: str
    seed: int
    level: str
    plant: str
    verdict: Verdict
    trace: str
    """Hash of every frame, command, record and piece of news in order: the same seed gives the same."""
    until_ms: int
    members: tuple[str, ...]
    hubs: tuple[str, ...]
    homes: dict[str, tuple[str, ...]]
    phases: tuple[Phase, ...]
    faults: tuple[Fault, ...]
    breaches: tuple[Breach, ...]
    lives: tuple[Life, ...]
    """Of the messages that broke a promise, else of the slowest one."""
    latencies: tuple[Latency, ...]
    priorities: tuple[Latency, ...]
    """The same messages, by priority instead of kind."""
    answers: Latency
    """From a question to its last answer, for those that were answered or refused."""
    questions: dict[str, int]
    """How many questions ended in each way; those that had not ended are `open` or `pending`."""
    samples: tuple[Sample, ...]
    flows: tuple[Flow, ...]
    counters: dict[str, dict[str, int]]
    """By program: the machine's own counts of drops, refusals and retries, over all its lives."""
    marks: dict[str, int]
    """How often each interesting situation came about."""
    accepted: int
    ended: int
    events: int
    """Turns of all programs."""
    whole: Scenario
    """What was run."""
    owed: int
    """Deliveries that had not ended when the run did."""
    watched: dict[str, tuple[str, ...]]
    """Which checkers watched each promise."""
    command: str
    """The command line that runs it again; empty when it was run by other means."""


class SeedEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one seed of a swarm ended."""

    seed: int
    verdict: Verdict
    trace: str
    accepted: int


class Swarm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What many seeds of one scenario tell, in order of seeds; one shard of them has the same shape as all."""

    schema: int
    version: str
    scenario: str
    scenario_hash: str
    level: str
    plant: str
    asked: tuple[int, ...]
    """The seeds that were wanted; those without an end were not reached in time."""
    ends: tuple[SeedEnd, ...]
    marks: dict[str, int]
    failures: tuple[Failure, ...]

    @property
    def broken(self) -> tuple[int, ...]:
        """The seeds in which a promise is broken."""
        return tuple(one.seed for one in self.ends if one.verdict is Verdict.BROKEN)


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is needed to see a failure again, to the byte."""

    schema: int
    version: str
    scenario: str
    scenario_hash: str
    seed: int
    level: str
    plant: str
    members: int
    until_ms: int
    faults: tuple[Fault, ...]
    breach: Breach
    trace: str
    whole: Scenario | None = None
    """The scenario itself, so that neither its file nor what it extends is needed; only schema 1 lacks it."""
