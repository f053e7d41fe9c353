"""Read what goes wrong from plain words: `at = "10m"`, `what = "cut off"`, `who = "lyon"`, `for = "3h"`.

Decides: the word of each kind of fault (its own name, or a plainer one), the word of each of its fields, and who is
meant by `members of lyon`. What a fault does is for `faults` and those it names. Kinds and fields are read from
`faults`, so each has its words. docs/simulation.md 4.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

import msgspec

from i247_protocol.errors import CallerFault
from i247_simulations.faults import Fault, Partition
from i247_simulations.quantities import duration_ms


class Cast:
    """Who may be named."""

    def __init__(self, homes: Mapping[str, Sequence[str]]) -> None:
        self.members = tuple(sorted(homes))
        self.hubs = tuple(sorted({hub for one in homes.values() for hub in one}))
        self._groups = {"all": (*self.hubs, *self.members), "all members": self.members, "all hubs": self.hubs}
        for hub in self.hubs:
            self._groups[f"members of {hub}"] = tuple(code for code in self.members if homes[code][0] == hub)

    def named(self, words: object) -> tuple[str, ...]:
        """Return the programs that a name, a group or a list of them stands for, each once."""
        listed = [words] if isinstance(words, str) else words
        if not isinstance(listed, list) or not listed or not all(isinstance(word, str) for word in listed):
            raise _Unread("no name and no list of names", f'write "{self.hubs[0]}", or ["{self.hubs[0]}", "FR"]')
        found = [name for word in listed for name in self._of(word)]
        return tuple(dict.fromkeys(found))

    def _of(self, word: str) -> tuple[str, ...]:
        if word in self._groups:
            return self._groups[word]
        if word in self.members or word in self.hubs:
            return (word,)
        known = [*self.hubs, *self.members, *self._groups]
        raise _Unread("nobody of that name", _near(word, known, "a hub, a member, `all hubs` or `members of lyon`"))


def read_faults(entries: Sequence[Mapping[str, object]], homes: Mapping[str, Sequence[str]]) -> tuple[Fault, ...]:
    """Return the faults that tables tell, in order of time; raise CallerFault that says which and where."""
    cast = Cast(homes)
    found = [fault for place, entry in enumerate(entries) for fault in _read(entry, cast, f"fault[{place}]")]
    return tuple(sorted(found, key=lambda fault: fault.at_ms))


def words_of(kind: type[Fault]) -> dict[str, str]:
    """Return the key for each field of a kind of fault."""
    names = [field.name for field in msgspec.structs.fields(kind)]
    plain = {**KEYS, **({"down_ms": "for"} if "for_ms" not in names else {})}
    return {name: plain.get(name, name.removesuffix("_ms")) for name in names}


def _read(entry: Mapping[str, object], cast: Cast, at: str) -> Iterator[Fault]:
    kind = _kind(entry, at)
    keys = words_of(kind)
    for key in entry:
        if key not in {"what", *keys.values()}:
            known = [*keys.values()]
            raise CallerFault(f"{at}.{key}: unknown key", _near(key, known, f"known here: {', '.join(known)}"))
    values: dict[str, object] = {}
    struck: tuple[str, ...] = ()
    for field in msgspec.structs.fields(kind):
        key = keys[field.name]
        if key not in entry and field.name not in DEFAULTS:
            raise CallerFault(f"{at}.{key}: missing", f"add it, such as {EXAMPLES.get(key, 'a whole number')}")
        try:
            if field.name in STRUCK:
                struck = cast.named(entry[key])
                _require_role(kind, struck, cast)
            elif key in entry:
                values[field.name] = _value(entry[key], field, cast)
            elif field.name == "there":
                here = cast.named(entry["who"])
                values["there"] = tuple(name for name in (*cast.hubs, *cast.members) if name not in here)
            else:
                values[field.name] = DEFAULTS[field.name]
        except _Unread as fault:
            raise CallerFault(f"{at}.{key}: {fault.what}", fault.hint) from None
    field_struck = next((name for name in keys if name in STRUCK), "")
    make: Callable[..., Fault] = kind
    for one in [make(**values, **{field_struck: name}) for name in struck] if struck else [make(**values)]:
        if isinstance(one, Partition) and not (one.there and set(one.here).isdisjoint(one.there)):
            raise CallerFault(f"{at}.from: nobody is left to be cut off from", "name others than in `who`")
        yield one


def _kind(entry: Mapping[str, object], at: str) -> type[Fault]:
    word = entry.get("what")
    if not isinstance(word, str):
        raise CallerFault(f"{at}.what: missing", f"say what goes wrong: {', '.join(WORDS)}")
    if word not in WORDS:
        raise CallerFault(
            f"{at}.what: nothing that is known to go wrong", _near(word, [*WORDS], f"one of {', '.join(WORDS)}")
        )
    return WORDS[word]


def _value(value: object, field: msgspec.structs.FieldInfo, cast: Cast) -> object:
    if field.name in {"here", "there"}:
        return cast.named(value)
    if field.type is str:
        return _single(value, cast)
    if field.name.endswith("_ms"):
        return _duration(value, may_be_back=field.name == "step_ms")
    try:
        return msgspec.convert(value, field.type)
    except msgspec.ValidationError:
        if isinstance(field.type, type) and issubclass(field.type, StrEnum):
            choices = [one.value for one in field.type]
            raise _Unread(
                "none of the words that may stand here", _near(str(value), choices, f"one of {', '.join(choices)}")
            ) from None
        raise _Unread("of another kind", f"write {EXAMPLES.get(field.name, 'a whole number')}") from None


def _single(value: object, cast: Cast) -> str:
    names = cast.named(value)
    if len(names) > 1:
        raise _Unread("more than one", "name one; write further ones as faults of their own")
    return names[0]


def _duration(value: object, *, may_be_back: bool) -> int:
    if not isinstance(value, str):
        raise _Unread("no duration", 'write it as a text, such as "3h"')
    back = may_be_back and value.startswith("-")
    try:
        return -duration_ms(value[1:]) if back else duration_ms(value)
    except ValueError as fault:
        raise _Unread("no duration", str(fault)) from None


def _require_role(kind: type[Fault], names: Sequence[str], cast: Cast) -> None:
    tag = kind.__struct_config__.tag
    if tag in HUBS_ONLY and not set(names) <= set(cast.hubs):
        raise _Unread("not a hub", f"one of {', '.join(cast.hubs)}")
    if (tag in MEMBERS_ONLY or "member" in words_of(kind)) and not set(names) <= set(cast.members):
        raise _Unread("not a member", "name a member by its code")


def _near(word: str, known: Sequence[str], otherwise: str) -> str:
    near = get_close_matches(word, known, 1)
    return f"did you mean `{near[0]}`?" if near else otherwise


class _Unread(Exception):
    """A value that cannot be read; where it stands is known further out."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


STRUCK: Final = frozenset({"program", "member"})
"""Fields that make a fault for each name, when several are given."""
KEYS: Final = {
    "program": "who",
    "member": "who",
    "sender": "from",
    "receiver": "to",
    "here": "who",
    "there": "from",
}
DEFAULTS: Final[dict[str, object]] = {"there": (), "one_way": False, "percent": 100}
"""What is taken when a key is left out; for `there` it is everybody else."""
HUBS_ONLY: Final = frozenset({"disk-destroyed", "hostile-hub"})
MEMBERS_ONLY: Final = frozenset({"hostile-member", "restored-copy"})
EXAMPLES: Final = {
    "at": '"10m"',
    "for": '"3h"',
    "down": '"30s"',
    "delay": '"200ms"',
    "step": '"-5m"',
    "who": '"lyon"',
    "from": '"lyon"',
    "to": '"FR"',
    "lie": '"drop"',
    "mischief": '"flood"',
    "one_way": "true or false",
    "kept": "true or false",
}
KINDS: Final[dict[str, type[Fault]]] = {str(kind.__struct_config__.tag): kind for kind in typing.get_args(Fault)}
PLAINER: Final = {
    "cut off": "partition",
    "disk lost": "disk-destroyed",
    "clock wrong": "clock-step",
    "clock drifts": "clock-drift",
    "hub lies": "hostile-hub",
    "member misbehaves": "hostile-member",
    "suspend": "suspension",
}
WORDS: Final = {
    **{word: KINDS[tag] for word, tag in PLAINER.items()},
    **{tag.replace("-", " "): kind for tag, kind in KINDS.items()},
}
"""What may stand at `what`."""
