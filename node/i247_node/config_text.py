"""Write the first `node.toml` of a member, with a comment on each setting. docs/operating.md."""

from __future__ import annotations

from typing import Final

from i247_protocol.names import MemberCode


def first_config(member: MemberCode, *, pin: str, network_file: str, socket: str, passphrase_file: str) -> str:
    """Return the text of the file; paths in it are from its folder unless they are absolute."""
    values = {
        "member": member,
        "pin": pin,
        "network_file": network_file,
        "socket": socket,
        "passphrase_file": passphrase_file,
    }
    return TEXT.format_map({name: _quoted(value) for name, value in values.items()})


def _quoted(text: str) -> str:
    escaped = "".join(f"\\{sign}" if sign in '"\\' else sign for sign in text)
    return f'"{escaped}"'


TEXT: Final = """\
# The node of one member. `i247-node check` says what is wrong with this file, `i247-node run` runs the node.
# A path is taken from the folder of this file, unless it begins with /. No secret stands in here.

# This member's code: ISO 3166, two capital letters.
member = {member}

# Folder for the database. It must lie on a local disk, and nothing but one node may use it.
# A copy of it that is put back later is noticed; the node then makes new epoch keys.
state = "state"

# The directory, as the Secretariat publishes it. Hubs carry newer ones to the node; a newer file that is laid here
# is read while the node runs. Whatever it says is believed only as far as it follows from the pin.
network_file = {network_file}

# The hash of the charter, from the Secretariat, by another channel than the network file. 64 hexadecimal digits.
pin = {pin}

[keys]
identity = "keys/identity.key"
link = "keys/link.key"
# What opens the keyfiles: a file of mode 0600, or a credential of systemd (LoadCredential=). One of both.
passphrase_file = {passphrase_file}
# credential = "i247-passphrase"

[interface]
# Programs of this machine, `i247-node query` among them, reach the node here. Whoever may open the socket may ask
# and publish in this member's name: give it to one group, and nobody else.
socket = {socket}
mode = "0660"

# Registers that other members may ask, by name, and the file of each: `i247-node register import` fills it.
# Each needs a table in [policy.registers].
[registers]
# sltd = "registers.db"

[policy]
# Members that get no answer from any register here.
refuse = []

# [policy.registers.sltd]
# open_to = "all"                            # or a list of members: ["SG", "BR"]
# closed_to = []                             # takes from open_to
# purposes = ["border-control", "wanted"]    # or "all", which is meant when it is left out

[log]
level = "info"      # debug, info, warning, error
form = "console"    # or "json"
# file = "node.log" # without it, to stderr
"""
