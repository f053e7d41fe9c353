"""Somebody is away for long: what waits is asked after now and then, and causes no storm, nor does the return."""

from tests.attacks.forgery import check_house, entries_of
from tests.world import World

from i247_protocol.frames import Ask, Put, Told, parse_frame
from i247_protocol.limits import ASK_PAIRS_MAX
from i247_protocol.priority import Priority

HOURS = 3_600_000
MESSAGES = 300


def test_a_member_that_is_away_causes_no_storm() -> None:
    """Timers run for each recipient: the number of questions does not depend on how much waits."""
    homes = {"FR": ("lyon",), "SG": ("singapore",), "BR": ("lyon",), "XP": ("lyon",)}
    world = World(41, homes=homes)
    world.start_all()
    world.run(3_000)
    world.stop("SG")
    for n in range(MESSAGES):
        world.write("FR", "SG", "s", f"{n}", Priority.ROUTINE)
    world.run(60_000)
    since = len(world.frames)
    world.run(6 * HOURS)
    frames = [parse_frame(data) for _, _, data in world.frames[since:]]
    asked = [frame for frame in frames if isinstance(frame, Ask)]
    assert 0 < len(asked) <= 2 * 72, "a dozen in an hour: a random pause up to a quarter of one; and from hub to hub"
    assert all(len(frame.pairs) <= ASK_PAIRS_MAX for frame in asked)
    assert sum(isinstance(frame, Told) for frame in frames) <= len(asked)
    assert not [frame for frame in frames if isinstance(frame, Put)], "no body travels again"

    since = len(world.frames)
    world.start_node("SG")
    world.run(10 * 60_000)
    assert len(entries_of(world, "SG")) == MESSAGES
    to_singapore = world.sent("singapore", "SG", Put, since=since)
    assert sum(len(frame.parcels) for frame in to_singapore if isinstance(frame, Put)) == MESSAGES
    assert not [frame for frame in world.sent("FR", "lyon", Put, since=since) if isinstance(frame, Put)]
    check_house(world)
