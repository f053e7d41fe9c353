"""Draft what keyholders sign: a draft that nobody would take is refused before anybody signs it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.keys.repository import START, Repository, key, link

from i247_keys import contexts
from i247_keys.ceremony import Terms, found, hub_request, next_charter, step_document, with_signatures
from i247_keys.charter import Kind
from i247_keys.documents import Document
from i247_keys.request import parse_request
from i247_keys.roster import RetiredKey
from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.limits import SKEW_MS
from i247_protocol.names import DAY_MS, HubName, WallMs
from i247_protocol.reasons import Reason


def founded(repo: Repository, members: list[Document], hubs: list[Document]) -> object:
    return found(repo.terms, members, hubs, repo.wall)


def test_requests_may_come_in_any_order() -> None:
    repo = Repository()
    members = [repo.join(code) for code in ("XP", "AA")]
    hubs = [repo.hub("hub-2"), repo.hub("hub-1")]
    assert founded(repo, members, hubs) == founded(repo, members[::-1], hubs[::-1])


@pytest.mark.parametrize(
    ("spoil", "doing"),
    [
        (lambda repo: founded(repo, [repo.join("AA"), repo.join("AA")], [repo.hub("hub-1")]), "first roster"),
        (lambda repo: founded(repo, [repo.join("AA")], []), "giving AA its homes"),
        (lambda repo: founded(repo, [repo.join("AA", signer="BB")], [repo.hub("hub-1")]), "a member's request"),
        (lambda repo: founded(repo, [repo.hub("hub-1")], [repo.hub("hub-1")]), "a member's request"),
        (lambda repo: founded(repo, [repo.change("AA")], [repo.hub("hub-1")]), "admitting AA"),
        (lambda repo: founded(repo, [], [repo.join("AA")]), "a hub's request"),
        (lambda repo: found(repo.terms, [repo.join("AA")], [], WallMs(START + 31 * DAY_MS)), "a member's request"),
        (lambda repo: found(repo.terms, [repo.join("AA")], [], WallMs(START - SKEW_MS - 1)), "a member's request"),
        (lambda repo: found(replace(repo.terms, threshold=3), [], [], START), "charter"),
        (lambda repo: repo.join("AA", names={}), "requesting for AA"),
        (lambda repo: repo.hub("hub-1", endpoints=()), "requesting for the hub"),
        (lambda repo: repo.draft(suspend=("QQ",)), "suspending QQ"),
        (lambda repo: repo.draft(hubs_gone=("hub-9",)), "removing the hub"),
        (lambda repo: repo.draft(hubs=(repo.hub("hub-3", link=link("AA")),)), "next roster"),
        (lambda repo: repo.draft(records=(repo.decided(Kind.CHARTER, None, b"\0" * 32),)), "carrying out"),
    ],
)
def test_a_draft_that_nobody_would_take(spoil: Callable[[Repository], object], doing: str) -> None:
    with pytest.raises(CallerFault, match=doing) as fault:
        spoil(Repository())
    assert fault.value.hint


def test_evidence_that_supports_nothing_is_refused_at_the_draft() -> None:
    repo = Repository()
    repo.wall = WallMs(repo.wall + 1)
    for changes in (
        {"requests": (repo.join("ZZ"),)},
        {"requests": (repo.change("AA", "thief", identity=key("thief").public),)},
        {"records": (repo.decided(Kind.EXPEL, "AA", yes=("BB",)),)},
        {"records": (repo.decided(Kind.EXPEL, "QQ"),)},
        {"records": (repo.decided(Kind.REINSTATE, "AA"),)},
    ):
        with pytest.raises(PeerFault, match=Reason.NOT_JUSTIFIED):
            repo.draft(**changes)


def test_several_changes_go_into_one_roster() -> None:
    repo = Repository()
    repo.wall = WallMs(repo.wall + 1)
    repo.publish(
        requests=(repo.change("AA", homes=("hub-2",)), repo.change("BB", link=link("BB new"))),
        records=(repo.decided(Kind.SUSPEND, "BB"), repo.decided(Kind.EXPEL, "CC")),
        suspend=("AA", "DD"),
        hubs_gone=("hub-2",),
    )
    states = [row.state_at(repo.wall).value for row in repo.trust.directory.members]
    assert states == ["suspended", "suspended", "left", "suspended", "active", "active"]
    assert repo.row("AA").homes == ("hub-2",)


def test_a_hub_that_changes_its_key_leaves_the_former_one_its_grace() -> None:
    repo = Repository()
    request = hub_request(
        HubName("hub-1"),
        region="Elsewhere",
        identity=key("hub-1 new").public,
        link=link("hub-1"),
        endpoints=("tcp://127.0.0.1:1",),
        wall=repo.wall,
    ).with_signature(contexts.REQUEST, key("hub-1 new"))
    repo.publish(hubs=(request,))
    row = repo.trust.directory.hub(HubName("hub-1"))
    assert row is not None
    assert [old.public for old in row.retired] == [key("hub-1").public]
    assert isinstance(row.retired[0], RetiredKey)
    assert len(repo.trust.directory.hub_verifying_keys(row.name, repo.wall)) == 2


def test_keyholders_sign_the_whole_roster_and_not_its_difference() -> None:
    repo = Repository()
    step = repo.draft(hubs_gone=("hub-2",))
    document = step_document(repo.trust, step)
    assert len(document.p) > 1_000
    one = document.with_signature(contexts.ROSTER, repo.secretariat[0])
    assert step_document(repo.trust, with_signatures(step, one)) == one


def test_a_request_to_join_names_nothing_that_it_changes() -> None:
    repo = Repository()
    assert parse_request(repo.join("ZZ")).previous is None
    assert parse_request(repo.change("AA")).previous is not None


def test_the_next_charter_follows_the_held_one() -> None:
    repo = Repository()
    terms: Terms = replace(repo.terms, witnesses=4)
    assert next_charter(repo.trust, terms, repo.wall) == next_charter(repo.trust, terms, repo.wall)
