"""Hold a member's epoch secrets: make them in time, list them, and forget them in time.

A key is in use for EPOCH_USE_MS_MAX and the next begins OVERLAP_MS before its end, so there is always a current
key and one ahead. Its secret is kept EPOCH_KEEP_MS longer, so that every valid message finds it, and then dropped,
so that no later thief reads it: 14 days and the skew after its first use.

This module decides when; the node's store keeps the bytes. They are not encrypted there: the database is the
running daemon's own (mode 0600), a passphrase beside it would protect nothing, and what must be gone after a key's
end is not ciphertext but the row, deleted under `secure_delete`. Backups leave it out. docs/protocol.md 8.6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NoReturn

import msgspec
from nacl import bindings

from i247_keys.identity import Identity
from i247_keys.keycard import EpochKey, sign_keycard
from i247_protocol import codec
from i247_protocol.digests import key_id
from i247_protocol.errors import PeerFault
from i247_protocol.header import EXPIRY_MINUTES_MAX
from i247_protocol.limits import EPOCH_KEEP_MS, EPOCH_KEYS_AHEAD_MAX, EPOCH_KEYS_MAX, EPOCH_USE_MS_MAX, SKEW_MS
from i247_protocol.names import DAY_MS, MINUTE_MS, KeyId, MemberCode, WallMs
from i247_protocol.reasons import Reason


class _Secret:
    """What must not be shown, compared or copied out of the process."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Name the type only."""
        return f"{type(self).__name__}(…)"

    def __eq__(self, other: object) -> NoReturn:
        """Refuse: secrets are not compared."""
        raise TypeError("secrets are not compared")

    __hash__ = None  # type: ignore[assignment]  # not comparable, so not hashable

    def __reduce__(self) -> NoReturn:
        """Refuse: secrets are not pickled."""
        raise TypeError("secrets are not pickled")


class EpochSecret(_Secret):
    """An X25519 key pair and the time in which others seal to it."""

    __slots__ = ("listed", "secret")

    def __init__(self, secret: bytes, use_from: WallMs, use_until: WallMs) -> None:
        """Make the pair of the 32-byte `secret`; raise ValueError for another length."""
        if len(secret) != SECRET_BYTES:
            raise ValueError("an epoch secret is 32 bytes")
        public = bindings.crypto_scalarmult_base(secret)
        self.secret = secret
        self.listed = EpochKey(kid=key_id(public), public=public, use_from=use_from, use_until=use_until)

    @property
    def public(self) -> bytes:
        """The 32 bytes that others seal to."""
        return self.listed.public

    @property
    def kid(self) -> KeyId:
        """The name of the public key."""
        return self.listed.kid


class Keyring(_Secret):
    """All epoch secrets of one member; a value, so each change gives a new one."""

    __slots__ = ("_by_kid", "_secrets")

    def __init__(self, secrets: Iterable[EpochSecret] = ()) -> None:
        """Hold `secrets`; with none, `renewed` makes the first."""
        self._secrets = tuple(sorted(secrets, key=_age))
        self._by_kid = {held.kid: held for held in self._secrets}

    @property
    def keys(self) -> tuple[EpochKey, ...]:
        """The public halves, the oldest first."""
        return tuple(held.listed for held in self._secrets)

    def secret_for(self, kid: KeyId) -> EpochSecret | None:
        """Return the pair that `kid` names, or None when it is not held or no more."""
        return self._by_kid.get(kid)

    def renewed(self, wall: WallMs, entropy: Callable[[int], bytes]) -> Keyring:
        """Return the keyring for `wall`, with a current key and one ahead, and nothing past its keeping."""
        secrets = self._kept(wall)
        if not any(_is_current(held.listed, wall) for held in secrets):
            # Begins earlier, or a sender whose clock is behind would find no key in use.
            secrets.append(_fresh(WallMs(max(0, wall - SKEW_MS)), entropy))
        # Twice when the current one is within its last day: the first that follows it is in use already.
        while not any(held.listed.use_from > wall for held in secrets):
            latest = max(held.listed.use_until for held in secrets)
            secrets.append(_fresh(WallMs(latest - OVERLAP_MS), entropy))
        return Keyring(sorted(secrets, key=_age)[-EPOCH_KEYS_MAX:])

    def dropped(self, wall: WallMs, entropy: Callable[[int], bytes]) -> Keyring:
        """Return a keyring of new secrets only: for a node that may run from a copy of its database."""
        return Keyring().renewed(wall, entropy)

    def next_change(self, wall: WallMs) -> WallMs:
        """Return the first instant from `wall` on at which `renewed` would change something."""
        if self._is_due(wall):
            return wall
        turns = (
            WallMs(instant)
            for key in self.keys
            for instant in (key.use_from, key.use_until, key.use_until + EPOCH_KEEP_MS)
            if instant > wall
        )
        return next(instant for instant in sorted(turns) if self._is_due(instant))

    def card(self, member: MemberCode, version: int, wall: WallMs, identity: Identity) -> bytes:
        """Return the keycard document that lists every key held."""
        return sign_keycard(member, version, wall, self.keys, identity)

    def to_bytes(self) -> bytes:
        """Return the secrets as they lie in the node's database, in the clear."""
        rows = tuple(
            _Row(secret=held.secret, use_from=held.listed.use_from, use_until=held.listed.use_until)
            for held in self._secrets
        )
        return codec.encode(_Stored(v=VERSION, keys=rows))

    @classmethod
    def from_bytes(cls, data: bytes) -> Keyring:
        """Return the keyring that `to_bytes` wrote; raise PeerFault for anything else."""
        stored: _Stored = codec.decode_as(_Stored, data, bytes_max=_STORED_BYTES_MAX)
        if stored.v != VERSION:
            raise PeerFault(Reason.UNKNOWN_VERSION)
        if len(stored.keys) > EPOCH_KEYS_MAX or not all(map(_is_sound, stored.keys)):
            raise PeerFault(Reason.MALFORMED)
        keyring = cls(EpochSecret(row.secret, row.use_from, row.use_until) for row in stored.keys)
        if len(keyring._by_kid) != len(stored.keys) or keyring.to_bytes() != data:
            raise PeerFault(Reason.NOT_CANONICAL)
        return keyring

    def _kept(self, wall: WallMs) -> list[EpochSecret]:
        """Return the secrets that stay; a key that begins too far ahead comes from a clock that was set back."""
        alive = [held for held in self._secrets if wall < held.listed.use_until + EPOCH_KEEP_MS]
        begun = [held for held in alive if held.listed.use_from <= wall]
        ahead = [held for held in alive if wall < held.listed.use_from <= wall + EPOCH_USE_MS_MAX]
        return begun + ahead[:EPOCH_KEYS_AHEAD_MAX]

    def _is_due(self, wall: WallMs) -> bool:
        return (
            len(self._kept(wall)) != len(self._secrets)
            or not any(_is_current(key, wall) for key in self.keys)
            or not any(key.use_from > wall for key in self.keys)
        )


def _fresh(use_from: WallMs, entropy: Callable[[int], bytes]) -> EpochSecret:
    return EpochSecret(entropy(SECRET_BYTES), use_from, WallMs(use_from + EPOCH_USE_MS_MAX))


def _age(held: EpochSecret) -> tuple[int, bytes]:
    return held.listed.use_from, held.kid


def _is_current(key: EpochKey, wall: WallMs) -> bool:
    return key.use_from <= wall < key.use_until


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    secret: bytes
    use_from: WallMs
    use_until: WallMs

    def __repr__(self) -> str:
        """Show nothing."""
        return "_Row(…)"


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: int
    keys: tuple[_Row, ...]


def _is_sound(row: _Row) -> bool:
    return (
        len(row.secret) == SECRET_BYTES
        and 0 <= row.use_from < row.use_until <= _WALL_MS_MAX
        and row.use_until - row.use_from <= EPOCH_USE_MS_MAX
    )


VERSION: Final = 1
SECRET_BYTES: Final = 32
OVERLAP_MS: Final = DAY_MS
_STORED_BYTES_MAX: Final = 4096
_WALL_MS_MAX: Final = EXPIRY_MINUTES_MAX * MINUTE_MS
