"""The stub cipher: as long as the real one, and as hard to cheat for whoever is simulated."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from i247_keys import contexts
from i247_keys.cipher import SODIUM, Cipher
from i247_keys.identity import Identity
from i247_keys.keyring import EpochSecret
from i247_protocol.errors import PeerFault
from i247_protocol.names import WallMs
from i247_simulations.crypto import Crypto, Stub, StubIdentity
from i247_simulations.faults import Fault, HostileHub, HubLie, Level
from i247_simulations.results import Verdict
from i247_simulations.running import failure_of, replay, run
from i247_simulations.scenario import with_crypto
from i247_simulations.scenarios import TINY, with_until
from i247_simulations.workload import MARK

TEXT = f"{MARK} and more".encode() * 30
PAIR = EpochSecret(b"\5" * 32, WallMs(0), WallMs(1))
OTHER = EpochSecret(b"\6" * 32, WallMs(0), WallMs(1))
KEY, NONCE = b"\7" * 32, b"\10" * 24
BOTH = pytest.mark.parametrize("cipher", [SODIUM, Stub()], ids=["real", "stub"])


def test_the_stub_has_the_lengths_of_the_real_cipher() -> None:
    for size in (0, 1, 32, 512, 5_000):
        text = bytes(size)
        sealed = [one.seal(PAIR.public, b"info", text, b"\1" * 32) for one in (SODIUM, Stub())]
        encrypted = [one.encrypt(text, b"aad", NONCE, KEY) for one in (SODIUM, Stub())]
        assert len(sealed[0]) == len(sealed[1])
        assert len(encrypted[0]) == len(encrypted[1])
    signatures = [one.sign(contexts.STATEMENT, TEXT) for one in (Identity(KEY), StubIdentity(KEY))]
    assert len(signatures[0]) == len(signatures[1])


@BOTH
def test_what_was_sealed_opens_and_cannot_be_found_by_searching(cipher: Cipher) -> None:
    sealed = cipher.seal(PAIR.public, b"info", TEXT, b"\1" * 32)
    encrypted = cipher.encrypt(TEXT, b"aad", NONCE, KEY)
    assert MARK.encode() not in sealed + encrypted
    assert cipher.open_sealed(PAIR.secret, PAIR.public, b"info", sealed) == TEXT
    assert cipher.decrypt(encrypted, b"aad", NONCE, KEY) == TEXT


@BOTH
def test_other_bytes_keys_and_headers_are_refused(cipher: Cipher) -> None:
    sealed = cipher.seal(PAIR.public, b"info", TEXT, b"\1" * 32)
    encrypted = cipher.encrypt(TEXT, b"aad", NONCE, KEY)
    attempts: list[Callable[[], bytes]] = [
        lambda: cipher.open_sealed(OTHER.secret, OTHER.public, b"info", sealed),
        lambda: cipher.open_sealed(PAIR.secret, PAIR.public, b"inf0", sealed),
        lambda: cipher.open_sealed(PAIR.secret, PAIR.public, b"info", sealed[:40]),
        lambda: cipher.open_sealed(PAIR.secret, PAIR.public, b"info", b""),
        lambda: cipher.decrypt(encrypted, b"aae", NONCE, KEY),
        lambda: cipher.decrypt(encrypted, b"aad", NONCE[::-1] + b"", KEY[:-1] + b"\0"),
    ]
    for at in (0, 31, 32, 100, len(sealed) - 1):
        spoiled = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        attempts.append(lambda spoiled=spoiled: cipher.open_sealed(PAIR.secret, PAIR.public, b"info", spoiled))  # type: ignore[misc]  # mypy does not infer a lambda with a default
    for attempt in attempts:
        with pytest.raises(PeerFault):
            attempt()


@pytest.mark.parametrize("crypto", Crypto)
def test_a_signature_is_of_one_signer_under_one_context(crypto: Crypto) -> None:
    cipher: Cipher = SODIUM if crypto is Crypto.REAL else Stub()
    one, other = (Identity(seed) if crypto is Crypto.REAL else StubIdentity(seed) for seed in (KEY, b"\11" * 32))
    signature = one.sign(contexts.STATEMENT, TEXT)
    cipher.verify(one.public, contexts.STATEMENT, TEXT, signature)
    for public, context, message in (
        (other.public, contexts.STATEMENT, TEXT),
        (one.public, contexts.CUSTODY, TEXT),
        (one.public, contexts.STATEMENT, TEXT + b"."),
    ):
        with pytest.raises(PeerFault):
            cipher.verify(public, context, message, signature)


def test_directory_documents_are_really_signed_under_the_stub_too() -> None:
    assert StubIdentity(KEY).sign(contexts.KEYCARD, TEXT) == Identity(KEY).sign(contexts.KEYCARD, TEXT)


@pytest.mark.parametrize("lie", [HubLie.SWAP, HubLie.ALTER, HubLie.REPLAY])
def test_what_a_lying_hub_puts_is_refused_under_the_stub(lie: HubLie) -> None:
    plan: tuple[Fault, ...] = (HostileHub(10_000, "lyon", 60_000, lie, 50),)
    result = run(with_crypto(with_until(TINY, 90_000), Crypto.STUB), 4, Level.NONE, plan=plan, tell_lives=False)
    assert result.verdict is Verdict.HOLDS, result.breaches[:1]
    assert result.marks[f"a hub lied: {lie.value}"] > 0


def test_a_failure_under_the_stub_is_replayed_under_the_stub() -> None:
    scenario = with_crypto(with_until(TINY, 60_000), Crypto.STUB)
    result = run(scenario, 3, Level.HARSH, "no-replay-table", tell_lives=False)
    failure = failure_of(result)
    assert failure is not None
    assert failure.whole == scenario
    assert replay(failure).trace == failure.trace
    assert (
        run(with_crypto(scenario, Crypto.REAL), 3, Level.HARSH, "no-replay-table", tell_lives=False).trace
        != failure.trace
    )
