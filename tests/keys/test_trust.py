"""Edit a directory as an authority, a hub or a thief might, and let the real rules judge: one clear reason each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.keys.repository import CODES, START, Repository, key, link, particulars

from i247_keys import contexts
from i247_keys.bounds import ROTATION_GRACE_MS
from i247_keys.ceremony import member_request, step_document
from i247_keys.charter import Kind
from i247_keys.documents import Document, sign_document
from i247_keys.log import CharterStep, DecisionRecord, RosterStep, parse_network_file, parse_step
from i247_keys.request import particulars_of
from i247_keys.roster import MemberRow, RetiredKey, Roster, State
from i247_keys.trust import Health, Trust
from i247_protocol import codec
from i247_protocol.digests import next_key_hash
from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.limits import (
    EMERGENCY_MS,
    EMERGENCY_PAUSE_MS,
    PULSE_GRACE_MS,
    PULSE_LIFETIME_MS,
    ROSTER_LIFETIME_MS,
    SKEW_MS,
)
from i247_protocol.names import DAY_MS, MemberCode, WallMs
from i247_protocol.reasons import Reason

AA = MemberCode("AA")


def refused(reason: Reason, act: Callable[[], object]) -> None:
    with pytest.raises(PeerFault) as caught:
        act()
    assert caught.value.reason is reason


# --- founding (F1 to F5) ---


def test_founding_gives_the_directory_that_the_pin_fixes() -> None:
    repo = Repository()
    assert repo.trust.charter_hash == repo.trust.pin == repo.charter.hash
    assert [row.code for row in repo.trust.directory.members] == list(CODES)
    assert repo.trust.health(START) is Health.FRESH


def edit_charter_after_pinning(repo: Repository) -> Trust:
    pin = repo.pin
    repo.refound(witnesses=1)
    return Trust.founded(pin, repo.charter, repo.roster, repo.wall)


def sign_charter_with_one_key_twice(repo: Repository) -> Trust:
    only = sign_document(repo.charter.p, contexts.CHARTER, repo.secretariat[:1])
    return Trust.founded(repo.pin, Document(only.p, only.s * 2), repo.roster, repo.wall)


def sign_charter_as_if_it_were_a_roster(repo: Repository) -> Trust:
    wrong = sign_document(repo.charter.p, contexts.ROSTER, repo.secretariat)
    return Trust.founded(repo.pin, wrong, repo.roster, repo.wall)


def put_another_roster_beside_the_charter(repo: Repository) -> Trust:
    other = Repository(codes=("AA", "XP"))
    return Trust.founded(repo.pin, repo.charter, other.roster, repo.wall)


def leave_the_roster_unsigned(repo: Repository) -> Trust:
    return Trust.founded(repo.pin, repo.charter, Document(repo.roster.p, []), repo.wall)


def found_tomorrow(repo: Repository) -> Trust:
    return Trust.founded(repo.pin, repo.charter, repo.roster, WallMs(repo.wall - SKEW_MS - 1))


def pin_a_second_charter(repo: Repository) -> Trust:
    repo.refound(version=2, previous=b"\0" * 32, roster=None)
    return repo.founded()


def found_on_a_second_roster(repo: Repository) -> Trust:
    second = step_document(repo.trust, repo.draft())
    repo.roster = repo.sign(Document(second.p, []), contexts.ROSTER)
    repo.refound(roster=repo.roster.hash)
    return repo.founded()


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (pin_a_second_charter, Reason.MALFORMED),
        (found_on_a_second_roster, Reason.MALFORMED),
        (edit_charter_after_pinning, Reason.WRONG_PIN),
        (sign_charter_with_one_key_twice, Reason.TOO_FEW_SIGNATURES),
        (sign_charter_as_if_it_were_a_roster, Reason.TOO_FEW_SIGNATURES),
        (put_another_roster_beside_the_charter, Reason.CHAIN_BROKEN),
        (leave_the_roster_unsigned, Reason.TOO_FEW_SIGNATURES),
        (found_tomorrow, Reason.FUTURE_DATED),
    ],
)
def test_founding_is_refused(edit: Callable[[Repository], Trust], reason: Reason) -> None:
    refused(reason, lambda: edit(Repository()))


# --- next roster (R1 to R5) ---


def test_next_roster_changes_hubs_on_the_word_of_the_keyholders_alone() -> None:
    repo = Repository()
    repo.publish(hubs=(repo.hub("hub-3"), repo.hub("hub-1", link=link("hub-1 new"))), hubs_gone=("hub-2",))
    assert [row.name for row in repo.trust.directory.hubs] == ["hub-1", "hub-3"]
    hub = repo.trust.directory.hub_by_link(link("hub-1 new"))
    assert hub is not None
    assert hub.name == "hub-1"
    assert repo.trust.directory.hub_by_link(link("hub-1")) is None


def test_a_threshold_counts_keys_and_not_signatures() -> None:
    repo = Repository()
    step = repo.draft()
    one = repo.signed(step, repo.secretariat[:1])
    twice = msgspec.structs.replace(one, signatures=one.signatures * 2)
    refused(Reason.TOO_FEW_SIGNATURES, lambda: repo.trust.with_roster(twice, repo.wall))
    assert repo.trust.with_roster(repo.signed(step, repo.secretariat[1:]), repo.wall).directory.version == 2


def test_foreign_and_wrong_signatures_do_no_harm() -> None:
    repo = Repository()
    step = repo.signed(repo.draft(), [key("stranger"), *repo.secretariat[1:]])
    garbage = (repo.secretariat[0].key_id, b"\0" * 64)
    noisy = msgspec.structs.replace(step, signatures=(garbage, *step.signatures))
    assert repo.trust.with_roster(noisy, repo.wall).directory.version == 2


def bump_the_version(repo: Repository) -> RosterStep:
    return repo.edited(lambda roster: msgspec.structs.replace(roster, version=3))


def break_the_chain(repo: Repository) -> RosterStep:
    return repo.edited(lambda roster: msgspec.structs.replace(roster, previous=b"\x11" * 32))


def name_another_charter(repo: Repository) -> RosterStep:
    return repo.edited(lambda roster: msgspec.structs.replace(roster, charter=2))


def issue_it_earlier(repo: Repository) -> RosterStep:
    return repo.edited(lambda roster: msgspec.structs.replace(roster, iat=START, exp=START + DAY_MS))


def issue_it_tomorrow(repo: Repository) -> RosterStep:
    late = repo.wall + DAY_MS
    return repo.edited(lambda roster: msgspec.structs.replace(roster, iat=late, exp=late + DAY_MS))


def outlive_its_kind(repo: Repository) -> RosterStep:
    step = repo.draft()
    return msgspec.structs.replace(step, exp=step.iat + ROSTER_LIFETIME_MS + 1)


def add_a_row_of_a_stranger_to_the_signed_roster(repo: Repository) -> RosterStep:
    step = repo.signed(repo.draft())
    row = msgspec.structs.replace(repo.row("AA"), code="ZZ", identity=key("ZZ").public, link=link("ZZ"))
    return msgspec.structs.replace(step, members=(row,))


def drop_the_evidence(repo: Repository) -> RosterStep:
    step = repo.signed(repo.draft(requests=(repo.change("AA", homes=()),)))
    return msgspec.structs.replace(step, requests=())


def let_one_key_stand_for_two_members(repo: Repository) -> RosterStep:
    step = repo.draft()
    row = msgspec.structs.replace(repo.row("BB"), identity=key("AA").public)
    return msgspec.structs.replace(step, members=(row,))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (bump_the_version, Reason.CHAIN_BROKEN),
        (break_the_chain, Reason.CHAIN_BROKEN),
        (name_another_charter, Reason.CHAIN_BROKEN),
        (issue_it_earlier, Reason.NOT_NEWER),
        (issue_it_tomorrow, Reason.FUTURE_DATED),
        (outlive_its_kind, Reason.LIFETIME_TOO_LONG),
        (add_a_row_of_a_stranger_to_the_signed_roster, Reason.TOO_FEW_SIGNATURES),
        (drop_the_evidence, Reason.TOO_FEW_SIGNATURES),
        (let_one_key_stand_for_two_members, Reason.MALFORMED),
    ],
)
def test_next_roster_is_refused(edit: Callable[[Repository], RosterStep], reason: Reason) -> None:
    repo = Repository()
    refused(reason, lambda: repo.trust.with_roster(edit(repo), repo.wall))


def test_no_roster_follows_once_its_charter_has_expired() -> None:
    repo = Repository()
    repo.refound(exp=START + DAY_MS)
    repo.trust = repo.founded()
    repo.wall = WallMs(START + DAY_MS + 1)
    step = repo.signed(repo.draft())
    refused(Reason.DIRECTORY_EXPIRED, lambda: repo.trust.with_roster(step, repo.wall))


def test_a_held_roster_is_not_newer_and_another_at_its_version_is_a_fork() -> None:
    repo = Repository()
    before = repo.trust
    step = repo.publish()
    refused(Reason.NOT_NEWER, lambda: repo.trust.with_roster(step, repo.wall))
    repo.publish()
    refused(Reason.NOT_NEWER, lambda: repo.trust.with_roster(step, repo.wall))

    newest, repo.trust = repo.trust, before
    other = repo.signed(repo.draft(hubs_gone=("hub-2",)))
    refused(Reason.FORKED, lambda: newest.with_roster(other, repo.wall))
    unsigned = msgspec.structs.replace(other, signatures=other.signatures[:1])
    refused(Reason.TOO_FEW_SIGNATURES, lambda: newest.with_roster(unsigned, repo.wall))
    astray = msgspec.structs.replace(other, previous=b"\0" * 32)
    refused(Reason.CHAIN_BROKEN, lambda: newest.with_roster(astray, repo.wall))


def test_other_signatures_under_a_held_roster_are_no_fork() -> None:
    repo = Repository()
    draft = repo.draft()
    one, two = repo.signed(draft, repo.secretariat[:2]), repo.signed(draft, repo.secretariat[1:])
    trust = repo.trust.with_roster(one, repo.wall)
    refused(Reason.NOT_NEWER, lambda: trust.with_roster(two, repo.wall))


# --- rows (R5) ---


@pytest.mark.parametrize(
    "changed",
    [
        {"identity": key("thief").public},
        {"next_identity": b"\x22" * 32},
        {"link": link("thief")},
        {"names": {"en": "Elsewhere"}},
        {"homes": ("hub-2",)},
        {"state": State.LEFT},
        {"state": State.SUSPENDED},
        {"since": START + 1},
        {"until": START + 1},
        {"retired": (RetiredKey(key("old").public, START),)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_keyholders_alone_cannot_touch_a_field_of_a_member(changed: dict[str, object]) -> None:
    repo = Repository()
    refused(Reason.NOT_JUSTIFIED, lambda: repo.trust.with_roster(repo.with_row("AA", **changed), repo.wall))


def test_keyholders_alone_cannot_admit_or_drop_a_member() -> None:
    repo = Repository()
    more = msgspec.structs.replace(repo.row("AA"), code="ZZ", identity=key("ZZ").public, link=link("ZZ"))

    def admit(roster: Roster) -> Roster:
        return msgspec.structs.replace(roster, members=(*roster.members, more))

    refused(Reason.NOT_JUSTIFIED, lambda: repo.trust.with_roster(repo.edited(admit), repo.wall))
    # A step cannot even say that a row is gone, so a dropped one is still in what the signatures must fit.
    dropped = repo.edited(lambda roster: msgspec.structs.replace(roster, members=roster.members[1:]))
    refused(Reason.TOO_FEW_SIGNATURES, lambda: repo.trust.with_roster(dropped, repo.wall))


def test_rows_in_another_order_are_no_roster() -> None:
    repo = Repository()
    payload = codec.decode(repo.roster.p, bytes_max=2**20)
    payload["members"].reverse()
    roster = repo.sign(Document(codec.encode(payload), []), contexts.ROSTER)
    repo.refound(roster=roster.hash)
    refused(Reason.MALFORMED, lambda: Trust.founded(repo.pin, repo.charter, roster, repo.wall))


def test_a_member_changes_its_own_row() -> None:
    repo = Repository()
    repo.publish(requests=(repo.change("AA", link=link("AA new"), homes=("hub-2", "hub-1"), names={"fr": "Là"}),))
    row = repo.row("AA")
    assert (row.link, row.homes, row.names) == (link("AA new"), ("hub-2", "hub-1"), {"fr": "Là"})
    assert row.since == START
    assert repo.trust.directory.member_by_link(link("AA new")) == row
    assert repo.trust.directory.member_by_link(link("AA")) is None


def test_the_thief_of_a_current_key_cannot_lock_its_owner_out() -> None:
    """Identity and commitment change only by the key that the row has committed to (or a decision)."""
    repo = Repository()
    thief = key("thief")
    for changed in (
        {"next_identity": next_key_hash(thief.public)},
        {"identity": thief.public},
        {"identity": thief.public, "next_identity": next_key_hash(key("thief next").public)},
    ):
        signers = ("AA", "thief") if "identity" in changed else ("AA",)
        refused(
            Reason.NOT_JUSTIFIED,
            lambda changed=changed, signers=signers: repo.draft(requests=(repo.change("AA", *signers, **changed),)),  # type: ignore[misc]
        )
    repo.publish(requests=(repo.rotation("AA", "AA next"),))
    assert repo.row("AA").identity == key("AA next").public


def test_a_routine_rotation_leaves_the_former_key_its_grace() -> None:
    repo = Repository()
    repo.publish(requests=(repo.rotation("AA", "AA", "AA next"),))
    end = repo.trust.directory.roster.iat + ROTATION_GRACE_MS
    old, new = key("AA").public, key("AA next").public
    assert repo.row("AA").retired == (RetiredKey(old, end),)
    assert repo.trust.directory.verifying_keys(AA, WallMs(end - 1)) == (new, old)
    assert repo.trust.directory.verifying_keys(AA, WallMs(end)) == (new,)


def test_a_rekey_by_the_committed_key_alone_ends_the_stolen_one_at_once() -> None:
    repo = Repository()
    repo.publish(requests=(repo.rotation("AA", "AA next"),))
    for behind_ms in (0, 1, 300, 10**9):  # also for whose clock is behind the roster that says so
        assert repo.trust.directory.verifying_keys(AA, WallMs(repo.wall - behind_ms)) == (key("AA next").public,)


def test_a_rekey_by_decision_ends_the_stolen_key_at_once() -> None:
    repo = Repository()
    request = repo.change("AA", "AA lost all", identity=key("AA lost all").public)
    repo.wall = WallMs(repo.wall + 1)
    repo.publish(requests=(request,), records=(repo.decided(Kind.REKEY, "AA", request.hash),))
    assert repo.trust.directory.verifying_keys(AA, repo.wall) == (key("AA lost all").public,)


def test_requests_that_support_nothing() -> None:
    repo = Repository()
    uncommitted = repo.change("AA", "thief", identity=key("thief").public)
    of_another = repo.change("AA", "BB", link=link("thief"))
    unproven = repo.change("AA", "AA", identity=key("AA next").public)
    for request in (uncommitted, of_another, unproven):
        step = _forced(repo, request)
        refused(Reason.NOT_JUSTIFIED, lambda step=step: repo.trust.with_roster(step, repo.wall))  # type: ignore[misc]


def test_evidence_that_cannot_be_read_supports_nothing() -> None:
    repo = Repository()
    unsigned = Document(repo.change("AA", homes=()).p, [])
    garbage = Document(b"garbage", [])
    for step in (
        msgspec.structs.replace(repo.draft(), requests=(unsigned.to_bytes(),)),
        msgspec.structs.replace(repo.draft(), requests=(garbage.to_bytes(),)),
        msgspec.structs.replace(repo.draft(), records=(DecisionRecord(garbage.to_bytes(), ()),)),
    ):
        refused(Reason.NOT_JUSTIFIED, lambda step=step: repo.trust.with_roster(repo.signed(step), repo.wall))  # type: ignore[misc]


def test_a_member_that_left_changes_nothing_and_is_rekeyed_by_nobody() -> None:
    repo = Repository()
    repo.wall = WallMs(repo.wall + 1)
    repo.publish(records=(repo.decided(Kind.EXPEL, "AA"),))
    repo.wall = WallMs(repo.wall + 1)
    late = member_request(AA, replace_state(repo.row("AA")), particulars_of(repo.row("AA")), repo.wall)
    late = late.with_signature(contexts.REQUEST, key("AA"))
    for changes in (
        {"requests": (late,)},
        {"requests": (late,), "records": (repo.decided(Kind.REKEY, "AA", late.hash),)},
        {"records": (repo.decided(Kind.REKEY, "AA", late.hash),)},
        {"records": (repo.decided(Kind.REINSTATE, "AA"),)},
        {"records": (repo.decided(Kind.SUSPEND, "AA"),)},
        {"records": (repo.decided(Kind.EXPEL, "AA"),)},
    ):
        refused(Reason.NOT_JUSTIFIED, lambda changes=changes: repo.draft(**changes))  # type: ignore[misc]


def replace_state(row: MemberRow) -> MemberRow:
    """Return the row as if it were active, so that a request can name it."""
    return msgspec.structs.replace(row, state=State.ACTIVE)


def test_a_member_that_is_there_is_not_admitted_again() -> None:
    repo = Repository()
    repo.wall = WallMs(repo.wall + 1)
    request = repo.join("AA", identity=key("other").public, signer="other")
    admit = repo.decided(Kind.ADMIT, "AA", request.hash)
    refused(Reason.NOT_JUSTIFIED, lambda: repo.draft(requests=(request,), records=(admit,)))


def test_a_request_is_good_once_and_not_for_ever() -> None:
    repo = Repository()
    there = repo.change("AA", homes=("hub-2",))
    repo.publish(requests=(there,))
    refused(Reason.NOT_JUSTIFIED, lambda: repo.trust.with_roster(_forced(repo, there), repo.wall))
    later = repo.change("AA", homes=("hub-1",))
    repo.wall = WallMs(repo.wall + 31 * DAY_MS)
    refused(Reason.NOT_JUSTIFIED, lambda: repo.trust.with_roster(_forced(repo, later), repo.wall))


def test_two_requests_of_one_member_are_ambiguous() -> None:
    repo = Repository()
    step = _forced(repo, repo.change("AA", homes=()), repo.change("AA", homes=("hub-2",)))
    refused(Reason.NOT_JUSTIFIED, lambda: repo.trust.with_roster(step, repo.wall))


def _forced(repo: Repository, *requests: Document) -> RosterStep:
    """Sign a step that carries requests out as the last of them asks, whatever the rules say."""
    wanted = codec.decode(requests[-1].p, bytes_max=2**20)
    row = codec.shape(
        type(repo.row("AA")), {**msgspec.to_builtins(repo.row("AA"), builtin_types=(bytes,)), **wanted["wanted"]}
    )
    step = msgspec.structs.replace(
        repo.draft(), members=(row,), requests=tuple(request.to_bytes() for request in requests)
    )
    return repo.signed(step)


# --- emergency suspension ---


def test_an_emergency_suspension_lapses_by_itself() -> None:
    repo = Repository()
    repo.publish(suspend=("AA",))
    lapse = WallMs(repo.trust.directory.roster.iat + EMERGENCY_MS)
    assert repo.trust.directory.state_of(AA, WallMs(lapse - 1)) is State.SUSPENDED
    assert repo.trust.directory.state_of(AA, lapse) is State.ACTIVE


def test_an_emergency_suspension_is_for_72_hours_exactly() -> None:
    repo = Repository()
    iat = repo.trust.directory.roster.iat + 1
    for until in (iat + EMERGENCY_MS + 1, iat + EMERGENCY_MS - 1, None):
        step = repo.with_row("AA", state=State.SUSPENDED, since=iat, until=until)
        refused(Reason.NOT_JUSTIFIED, lambda step=step: repo.trust.with_roster(step, repo.wall))  # type: ignore[misc]
    step = repo.with_row("AA", state=State.SUSPENDED, since=iat, until=iat + EMERGENCY_MS)
    assert repo.trust.with_roster(step, repo.wall).directory.state_of(AA, repo.wall) is State.SUSPENDED


@pytest.mark.parametrize(
    ("pause", "allowed"), [(EMERGENCY_MS, False), (EMERGENCY_PAUSE_MS - 1, False), (EMERGENCY_PAUSE_MS, True)]
)
def test_a_member_is_suspended_in_an_emergency_once_in_30_days(pause: int, allowed: bool) -> None:
    repo = Repository()
    repo.publish(suspend=("AA",))
    first = repo.trust.directory.roster.iat
    repo.wall = WallMs(first + pause)
    step = repo.with_row("AA", state=State.SUSPENDED, since=repo.wall, until=repo.wall + EMERGENCY_MS)
    if allowed:
        assert repo.trust.with_roster(step, repo.wall).directory.version == 3
        return
    refused(Reason.NOT_JUSTIFIED, lambda: repo.trust.with_roster(step, repo.wall))
    with pytest.raises(CallerFault, match="suspending AA"):
        repo.draft(suspend=("AA",))


def test_a_reinstatement_does_not_bring_the_emergency_back() -> None:
    repo = Repository()
    repo.publish(suspend=("AA",))
    repo.wall = WallMs(repo.wall + 1)
    repo.publish(records=(repo.decided(Kind.REINSTATE, "AA"),))
    assert repo.trust.directory.state_of(AA, repo.wall) is State.ACTIVE
    repo.wall = WallMs(repo.wall + DAY_MS)
    iat = repo.wall
    step = repo.with_row("AA", state=State.SUSPENDED, since=iat, until=iat + EMERGENCY_MS)
    refused(Reason.NOT_JUSTIFIED, lambda: repo.trust.with_roster(step, repo.wall))


# --- decisions ---


def test_the_assembly_suspends_reinstates_expels_and_admits_again() -> None:
    repo = Repository()
    repo.wall = WallMs(repo.wall + 1)
    repo.publish(records=(repo.decided(Kind.SUSPEND, "AA"),))
    assert repo.trust.directory.state_of(AA, WallMs(repo.wall + 365 * DAY_MS)) is State.SUSPENDED
    repo.wall = WallMs(repo.wall + 1)
    repo.publish(records=(repo.decided(Kind.REINSTATE, "AA"),))
    assert repo.trust.directory.state_of(AA, repo.wall) is State.ACTIVE
    repo.wall = WallMs(repo.wall + 1)
    repo.publish(records=(repo.decided(Kind.EXPEL, "AA"),))
    assert repo.trust.directory.state_of(AA, repo.wall) is State.LEFT
    repo.wall = WallMs(repo.wall + 1)
    request = repo.join("AA", identity=key("AA again").public, signer="AA again")
    repo.publish(requests=(request,), records=(repo.decided(Kind.ADMIT, "AA", request.hash),))
    assert repo.trust.directory.state_of(AA, repo.wall) is State.ACTIVE
    assert repo.trust.directory.verifying_keys(AA, repo.wall) == (key("AA again").public,)


def test_the_assembly_admits_a_new_member_with_the_keys_it_asked_for() -> None:
    repo = Repository()
    request = repo.join("ZZ")
    repo.publish(requests=(request,), records=(repo.decided(Kind.ADMIT, "ZZ", request.hash),))
    assert repo.row("ZZ").identity == key("ZZ").public
    other = Repository()
    switched = other.join("ZZ", identity=key("thief").public, signer="thief")
    with pytest.raises(PeerFault, match=Reason.NOT_JUSTIFIED):
        other.publish(requests=(switched,), records=(other.decided(Kind.ADMIT, "ZZ", request.hash),))


@pytest.mark.parametrize(
    "ballots",
    [
        {"yes": ("AA", "BB")},
        {"yes": ("AA", "BB", "CC"), "no": ("DD", "EE")},
        {"yes": ("AA", "AA", "AA", "AA", "AA")},
        {"yes": ("AA", "BB", "CC", "QQ", "ZZ"), "no": ("DD", "EE")},
        {"yes": CODES, "no": CODES},
        {"charter": 2},
        {"iat": START - 2 * DAY_MS, "exp": START - DAY_MS},
        {"iat": START},
    ],
    ids=["no quorum", "no two thirds", "one member five times", "strangers", "all twice", "charter", "expired", "old"],
)
def test_a_decision_that_carries_nothing(ballots: dict[str, object]) -> None:
    repo = Repository()
    repo.wall = WallMs(repo.wall + 1)
    record = repo.decided(Kind.EXPEL, "AA", **ballots)  # type: ignore[arg-type]
    iat = repo.wall
    step = msgspec.structs.replace(
        repo.draft(),
        members=(msgspec.structs.replace(repo.row("AA"), state=State.LEFT, since=iat),),
        records=(record,),
    )
    refused(Reason.NOT_JUSTIFIED, lambda: repo.trust.with_roster(repo.signed(step), repo.wall))


def test_a_decision_is_carried_out_once() -> None:
    repo = Repository()
    repo.wall = WallMs(repo.wall + 1)
    suspend = repo.decided(Kind.SUSPEND, "AA")
    repo.publish(records=(suspend,))
    repo.publish(records=(repo.decided(Kind.REINSTATE, "AA", iat=repo.wall + 1),))
    with pytest.raises(PeerFault, match=Reason.NOT_JUSTIFIED):
        repo.publish(records=(suspend,))


# --- next charter (C1 to C5) ---


def test_the_next_charter_replaces_keys_and_forgets_a_pulse_of_the_former_key() -> None:
    repo = Repository()
    repo.beat()
    fresh = [key(f"fresh {n}") for n in range(3)]
    terms = replace(repo.terms, keys=tuple(one.public for one in fresh), pulse_key=key("fresh pulse").public)
    repo.wall = WallMs(repo.wall + 1)
    trust = repo.trust.with_charter(repo.charter_step(terms, [*repo.secretariat, *fresh]), repo.wall)
    assert trust.charter.version == 2
    assert trust.pulse is None
    repo.trust = trust
    refused(Reason.TOO_FEW_SIGNATURES, lambda: trust.with_roster(repo.signed(repo.draft()), repo.wall))
    assert trust.with_roster(repo.signed(repo.draft(), fresh), repo.wall).directory.roster.charter == 2


def test_the_next_charter_is_refused() -> None:
    repo = Repository()
    fresh = [key(f"fresh {n}") for n in range(3)]
    terms = replace(repo.terms, keys=tuple(one.public for one in fresh))
    repo.wall = WallMs(repo.wall + 1)
    everybody = [*repo.secretariat, *fresh]
    expel = repo.decided(Kind.EXPEL, "AA")
    lost = repo.decided(Kind.CHARTER, None, b"\0" * 32)
    late = repo.wall + DAY_MS
    cases: list[tuple[CharterStep, Reason]] = [
        (repo.charter_step(terms, fresh), Reason.TOO_FEW_SIGNATURES),
        (repo.charter_step(terms, repo.secretariat), Reason.TOO_FEW_SIGNATURES),
        (repo.charter_step(terms, everybody, expel), Reason.NOT_JUSTIFIED),
        (repo.charter_step(terms, everybody, lost), Reason.NOT_JUSTIFIED),
        (repo.charter_step(terms, everybody, version=3), Reason.CHAIN_BROKEN),
        (repo.charter_step(terms, everybody, previous=b"\0" * 32), Reason.CHAIN_BROKEN),
        (repo.charter_step(terms, everybody, iat=START, exp=START + DAY_MS), Reason.NOT_NEWER),
        (repo.charter_step(terms, everybody, iat=late, exp=late + DAY_MS), Reason.FUTURE_DATED),
        (CharterStep(repo.charter.to_bytes(), lost), Reason.MALFORMED),
    ]
    for step, reason in cases:
        refused(reason, lambda step=step: repo.trust.with_charter(step, repo.wall))  # type: ignore[misc]


def test_another_charter_at_a_held_version_is_a_fork_when_signed() -> None:
    repo = Repository()
    before = repo.trust
    repo.wall = WallMs(repo.wall + 1)
    step = repo.charter_step(repo.terms, repo.secretariat)
    trust = before.with_charter(step, repo.wall)
    refused(Reason.NOT_NEWER, lambda: trust.with_charter(step, repo.wall))
    other = repo.charter_step(replace(repo.terms, witnesses=2), repo.secretariat)
    refused(Reason.FORKED, lambda: trust.with_charter(other, repo.wall))
    alone = repo.charter_step(replace(repo.terms, witnesses=2), repo.secretariat[:1])
    refused(Reason.TOO_FEW_SIGNATURES, lambda: trust.with_charter(alone, repo.wall))


# --- pulse (P1 to P4) and health ---


def test_pulses() -> None:
    repo = Repository()
    first = repo.pulse()
    trust = repo.trust.with_pulse(first, repo.wall)
    assert trust.pulse_hash == first.hash
    for pulse, reason in [
        (first, Reason.NOT_NEWER),
        (repo.pulse(iat=START - 1, exp=START), Reason.NOT_NEWER),
        (repo.pulse(signer=key("stranger"), iat=START + 1), Reason.TOO_FEW_SIGNATURES),
        (repo.pulse(signer=repo.secretariat[0], iat=START + 1), Reason.TOO_FEW_SIGNATURES),
        (repo.pulse(iat=START + DAY_MS, exp=START + 2 * DAY_MS), Reason.FUTURE_DATED),
        (repo.pulse(roster_version=2), Reason.NEWER_ROSTER),
        (repo.pulse(log_size=99), Reason.NEWER_ROSTER),
        (repo.pulse(iat=START + 1, exp=START + 2, roster_hash=b"\0" * 32), Reason.FORKED),
        (repo.pulse(iat=START + 1, exp=START + 2, log_root=b"\0" * 32), Reason.FORKED),
    ]:
        refused(reason, lambda pulse=pulse: trust.with_pulse(pulse, repo.wall))  # type: ignore[misc]


def test_a_pulse_may_come_just_after_the_roster_that_follows_it() -> None:
    repo = Repository()
    late = repo.pulse()
    repo.publish()
    trust = repo.trust.with_pulse(late, repo.wall)
    assert trust.pulse is not None
    repo.beat()
    refused(Reason.NOT_NEWER, lambda: repo.trust.with_pulse(late, repo.wall))


def test_witnesses_may_sign_in_the_place_of_the_pulse_key() -> None:
    repo = Repository(witnesses=3)
    pulse = Document(repo.pulse().p, [])
    two = repo.sign(pulse, contexts.PULSE, [key("AA"), key("BB")])
    refused(Reason.TOO_FEW_SIGNATURES, lambda: repo.trust.with_pulse(two, repo.wall))
    three = repo.sign(two, contexts.PULSE, [key("CC")])
    assert repo.trust.with_pulse(three, repo.wall).pulse_hash == pulse.hash


@pytest.mark.parametrize(
    ("after", "health"),
    [
        (PULSE_LIFETIME_MS, Health.FRESH),
        (PULSE_LIFETIME_MS + 1, Health.DEGRADED),
        (PULSE_LIFETIME_MS + PULSE_GRACE_MS, Health.DEGRADED),
        (PULSE_LIFETIME_MS + PULSE_GRACE_MS + 1, Health.HOLD),
    ],
)
def test_health_after_the_last_pulse(after: int, health: Health) -> None:
    repo = Repository()
    repo.beat()
    assert repo.trust.health(WallMs(START + after)) is health


def test_health_without_a_pulse_and_with_an_expired_roster() -> None:
    repo = Repository()
    assert repo.trust.health(WallMs(START + 1)) is Health.DEGRADED
    assert repo.trust.health(WallMs(START + PULSE_GRACE_MS + 1)) is Health.HOLD
    repo.wall = WallMs(START + ROSTER_LIFETIME_MS)
    repo.beat()
    assert repo.trust.health(repo.wall) is Health.FRESH
    assert repo.trust.health(WallMs(repo.wall + 1)) is Health.DEGRADED
    assert repo.trust.health(WallMs(repo.wall + PULSE_GRACE_MS + 1)) is Health.HOLD


# --- saving ---


def test_a_saved_trust_is_the_same_again_whatever_the_clock_says() -> None:
    repo = Repository()
    repo.publish(requests=(repo.change("AA", homes=("hub-2",)),))
    repo.wall = WallMs(repo.wall + 1)
    repo.trust = repo.trust.with_charter(repo.charter_step(repo.terms, repo.secretariat), repo.wall)
    repo.publish(suspend=("BB",))
    repo.beat()
    data = repo.trust.to_bytes()
    again = Trust.from_bytes(repo.pin, data, WallMs(0))
    assert again.to_bytes() == data
    assert (again.roster_hash, again.charter_hash, again.pulse) == (
        repo.trust.roster_hash,
        repo.trust.charter_hash,
        repo.trust.pulse,
    )
    assert again.directory.roster == repo.trust.directory.roster


def test_a_saved_pulse_of_witnesses_that_rotated_is_forgotten() -> None:
    repo = Repository(witnesses=1)
    pulse = repo.sign(Document(repo.pulse().p, []), contexts.PULSE, [key("AA")])
    repo.trust = repo.trust.with_pulse(pulse, repo.wall)
    repo.publish(requests=(repo.rotation("AA", "AA next"),))
    assert repo.trust.pulse is not None
    assert Trust.from_bytes(repo.pin, repo.trust.to_bytes(), repo.wall).pulse is None


def test_saved_bytes_that_were_cut_are_refused() -> None:
    repo = Repository()
    repo.publish()
    refused(Reason.CHAIN_BROKEN, lambda: Trust.from_bytes(repo.pin, repo.trust.steps_since(1), repo.wall))


# --- any bytes ---

REPO = Repository()
STEP = codec.encode(REPO.signed(REPO.draft(requests=(REPO.change("AA", homes=("hub-2",)),))))


@given(st.binary(max_size=200))
def test_any_bytes_are_the_peers_fault(data: bytes) -> None:
    for parse in (parse_step, parse_network_file):
        with pytest.raises(PeerFault):
            parse(data)


@given(st.integers(0, len(STEP) - 1), st.integers(1, 255))
def test_one_changed_byte_in_a_step_changes_nothing_or_is_refused(at: int, by: int) -> None:
    data = bytearray(STEP)
    data[at] ^= by
    try:
        trust = REPO.trust.with_step(parse_step(bytes(data)), REPO.wall)
    except PeerFault:
        return
    # One of three signatures was spoilt: two are enough.
    assert trust.directory.version == 2
    assert trust.directory.roster.members[0].homes == ("hub-2",)


def test_particulars_of_tests_are_those_of_the_founding() -> None:
    assert REPO.row("AA").identity == particulars("AA", "AA", "AA next").identity
