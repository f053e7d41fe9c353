"""Decide which member may ask which register, and for what. docs/protocol.md 7.2 and 12.

Decides: whether a query is looked up at all. Leaves to others: whether the asker is a member in good standing
(checked before), and what a reply may say. A policy may narrow the roster, never widen it.

    refuse = ["QX"]                             # these members get no answer from any register

    [registers.sltd]
    open_to = "all"                             # or a list of members
    closed_to = ["QY"]                          # takes from `open_to`; may be left out
    purposes = ["border-control", "wanted"]     # or "all", which is meant when it is left out

What is not named is not answered: a register without a table is unknown to everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.handling import Purpose
from i247_protocol.names import MemberCode, parse_member
from i247_protocol.queries import REGISTER_NAME_MAX
from i247_protocol.reasons import Reason


@dataclass(frozen=True, slots=True)
class Opening:
    """To whom and for what one register is open; None means all."""

    open_to: frozenset[MemberCode] | None
    closed_to: frozenset[MemberCode]
    purposes: frozenset[Purpose] | None

    def admits(self, asker: MemberCode, purpose: Purpose) -> bool:
        """Whether `asker` may ask for `purpose`."""
        is_open = self.open_to is None or asker in self.open_to
        return is_open and asker not in self.closed_to and (self.purposes is None or purpose in self.purposes)


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may ask what."""

    refuse: frozenset[MemberCode]
    registers: Mapping[str, Opening]

    def decide(self, asker: MemberCode, register: str, purpose: Purpose) -> Reason | None:
        """Return why the query is refused, or None; a refused member does not learn which registers there are."""
        if asker in self.refuse:
            return Reason.POLICY
        opening = self.registers.get(register)
        if opening is None:
            return Reason.UNKNOWN_REGISTER
        return None if opening.admits(asker, purpose) else Reason.POLICY


def parse_policy(
    table: Mapping[str, object], *, members: Collection[MemberCode] | None = None, path: str = "policy"
) -> Policy:
    """Return the policy that a TOML table tells; raise CallerFault with the path of what is wrong.

    With `members`, codes that are not among them are refused; without, whatever is shaped like a code is taken.
    `path` is where the table stands in its file.
    """
    reading = _Reading(members)
    reading.known_keys(table, ("refuse", "registers"), path)
    registers = reading.table(table.get("registers", {}), f"{path}.registers")
    return Policy(
        refuse=reading.members_at(table.get("refuse", []), f"{path}.refuse"),
        registers={
            reading.register_name(name, path): _opening(reading, value, f"{path}.registers.{name}")
            for name, value in registers.items()
        },
    )


OPEN_TO_NOBODY: Final = Policy(refuse=frozenset(), registers={})


@dataclass(frozen=True, slots=True)
class _Reading:
    known: Collection[MemberCode] | None

    def known_keys(self, table: Mapping[str, object], keys: Collection[str], path: str) -> None:
        for key in table:
            if key not in keys:
                near = get_close_matches(key, keys, 1)
                hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(keys)}"
                raise _fault(f"{path}.{key}", "unknown key", hint)

    def table(self, value: object, path: str) -> Mapping[str, object]:
        if not isinstance(value, Mapping):
            raise _fault(path, "not a table", "see the example configuration")
        return value

    def register_name(self, name: str, path: str) -> str:
        if not 0 < len(name) <= REGISTER_NAME_MAX:
            raise _fault(f"{path}.registers", "a name of the wrong length", f"1 to {REGISTER_NAME_MAX} characters")
        return name

    def words(self, value: object, path: str) -> Iterable[tuple[str, str]]:
        if not isinstance(value, list | tuple):
            raise _fault(path, "not a list", 'write it as ["...", "..."]')
        for place, word in enumerate(value):
            if not isinstance(word, str):
                raise _fault(f"{path}[{place}]", "not a text", 'write it as "..."')
            yield f"{path}[{place}]", word

    def members_at(self, value: object, path: str) -> frozenset[MemberCode]:
        return frozenset(self._member(word, at) for at, word in self.words(value, path))

    def purposes_at(self, value: object, path: str) -> frozenset[Purpose]:
        return frozenset(_purpose(word, at) for at, word in self.words(value, path))

    def _member(self, word: str, path: str) -> MemberCode:
        try:
            code = parse_member(word)
        except PeerFault:
            raise _fault(path, "not a member code", "a code is two capital letters, such as FR") from None
        if self.known is not None and code not in self.known:
            raise _fault(path, "no such member", "the roster lists the members; remove or correct the code")
        return code


def _opening(reading: _Reading, value: object, path: str) -> Opening:
    table = reading.table(value, path)
    reading.known_keys(table, ("open_to", "closed_to", "purposes"), path)
    if "open_to" not in table:
        raise _fault(f"{path}.open_to", "missing", 'write "all" or a list of members')
    open_to, purposes = table["open_to"], table.get("purposes", ALL)
    return Opening(
        open_to=None if open_to == ALL else reading.members_at(open_to, f"{path}.open_to"),
        closed_to=reading.members_at(table.get("closed_to", []), f"{path}.closed_to"),
        purposes=None if purposes == ALL else reading.purposes_at(purposes, f"{path}.purposes"),
    )


def _purpose(word: str, path: str) -> Purpose:
    try:
        return Purpose(word)
    except ValueError:
        near = get_close_matches(word, PURPOSES, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"one of {', '.join(PURPOSES)}"
        raise _fault(path, "no such purpose", hint) from None


def _fault(path: str, what: str, hint: str) -> CallerFault:
    return CallerFault(f"reading {path}: {what}", hint)


ALL: Final = "all"
PURPOSES: Final = [purpose.value for purpose in Purpose]
