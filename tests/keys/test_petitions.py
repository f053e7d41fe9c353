"""Show that what brings nothing is judged a few times a minute at most, and that news is always heard."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from tests.keys.repository import Repository

from i247_keys.log import RosterStep
from i247_keys.petitions import Petitions
from i247_keys.trust import Trust
from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.limits import USELESS_A_MINUTE_MAX, USELESS_REMEMBERED_MAX
from i247_protocol.names import MINUTE_MS, MonoMs, Now
from i247_protocol.reasons import Reason

GIVER, OTHER = b"g" * 32, b"o" * 32


class Place:
    """A directory of some rosters, and what somebody hears of it."""

    def __init__(self, rosters: int = 3) -> None:
        self.repository = Repository()
        self.steps = [self.repository.publish() for _ in range(rosters)]
        self.trust = self.repository.trust
        self.petitions = Petitions()
        self.mono = MonoMs(5 * MINUTE_MS)

    @property
    def now(self) -> Now:
        return Now(self.mono, self.repository.wall)

    def give(self, data: bytes, giver: bytes | None = GIVER) -> Trust | Reason:
        try:
            return self.petitions.extend(self.trust, data, giver, self.now)
        except PeerFault as fault:
            return fault.reason

    def resigned(self, n: int) -> bytes:
        """Return a held step in other bytes: a replay, and then nothing new."""
        step = self.steps[0]
        junk = (n.to_bytes(8, "big"), bytes(64))
        return self.file(msgspec.structs.replace(step, signatures=(*step.signatures, junk)))

    def forked(self, n: int) -> bytes:
        """Return another roster of a held version that nobody signed: a replay, and then a refusal."""
        return self.file(msgspec.structs.replace(self.steps[0], exp=self.steps[0].exp - 1 - n))

    def file(self, *steps: RosterStep) -> bytes:
        return self.repository.file(*steps, founding=None)


@pytest.mark.parametrize(
    ("made", "answer"), [(Place.resigned, None), (Place.forked, Reason.TOO_FEW_SIGNATURES)], ids=["held", "forged"]
)
def test_whoever_brings_nothing_is_put_off_until_the_minute_is_over(
    made: Callable[[Place, int], bytes], answer: Reason | None
) -> None:
    place = Place()
    usual = place.trust if answer is None else answer
    answers = [place.give(made(place, n)) for n in range(USELESS_A_MINUTE_MAX + 3)]
    assert answers == [usual] * USELESS_A_MINUTE_MAX + [Reason.TOO_OFTEN] * 3
    assert place.give(made(place, 900), OTHER) == usual, "others are heard"
    assert place.give(made(place, 901), None) == usual, "our own side is"
    place.mono = MonoMs(place.mono + MINUTE_MS)
    assert place.give(made(place, 902)) == usual


def test_the_same_again_costs_neither_a_judgement_nor_a_share() -> None:
    place = Place()
    useless = place.forked(0)
    assert {place.give(useless) for _ in range(5 * USELESS_A_MINUTE_MAX)} == {Reason.TOO_FEW_SIGNATURES}
    assert place.give(place.forked(1)) == Reason.TOO_FEW_SIGNATURES


def test_what_is_held_byte_for_byte_costs_no_share() -> None:
    """Every hub that hears of a roster gives it."""
    place = Place()
    for _ in range(5 * USELESS_A_MINUTE_MAX):
        assert place.give(place.file(*place.steps)) is place.trust
    assert place.give(place.forked(0)) == Reason.TOO_FEW_SIGNATURES


def test_news_is_heard_after_much_that_was_none() -> None:
    place = Place()
    for n in range(USELESS_A_MINUTE_MAX - 1):
        place.give(place.forked(n))
    news = place.repository.publish()
    after = place.give(place.file(news))
    assert isinstance(after, Trust)
    assert after.directory.version == place.trust.directory.version + 1


def test_what_came_too_early_is_judged_again() -> None:
    place = Place()
    first, second = place.repository.publish(), place.repository.publish()
    early = place.file(second)
    assert place.give(early) == Reason.CHAIN_BROKEN
    after = place.give(place.file(first, second))
    assert isinstance(after, Trust)
    assert place.give(early) == Reason.CHAIN_BROKEN, "not remembered"


def test_what_is_remembered_is_bounded() -> None:
    place = Place(rosters=1)
    for n in range(USELESS_REMEMBERED_MAX + 50):
        place.give(codec.encode([n]), n.to_bytes(32, "big"))
    assert len(place.petitions) <= USELESS_REMEMBERED_MAX
