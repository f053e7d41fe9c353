"""Sign and check words of return: that an envelope will not reach a recipient, and why.

The hub that finds out signs; every place on the way back checks the signature before it frees anything,
so no hub can talk mail out of another by lying about a third. docs/protocol.md 9.7.
"""

from __future__ import annotations

from i247_keys import contexts
from i247_keys.identity import Identity
from i247_keys.returned import returned_payload
from i247_protocol.frames import Bounce
from i247_protocol.names import EnvelopeId, HubName, MemberCode, WallMs
from i247_protocol.reasons import Reason


class Returns:
    """This hub, as the signer of words of return."""

    def __init__(self, me: HubName, identity: Identity) -> None:
        self.me = me
        self._identity = identity

    def word(self, envelope: EnvelopeId, recipient: MemberCode, reason: Reason, wall: WallMs) -> Bounce:
        """Return a signed word of return."""
        payload = returned_payload(envelope, recipient, reason.value, wall, self.me)
        return Bounce(envelope, recipient, reason.value, wall, self.me, self._identity.sign(contexts.RETURNED, payload))
