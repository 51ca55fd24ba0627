"""Says when frames and sound may be lost on their way to us, so that what is missing accuses nobody.

A viewer of a real room knows three things: how many RTP packets the network lost, when the kit itself was
late, and which keyframes are missing. A room's server may also drop frames without a gap between its packets,
if it believes that the network is busy (tried); such losses fall on other keyframes each time.
"""

from spatius_sim.rules.findings import Broken, Unsure
from spatius_sim.story.room_story import Disturbance, RoomSession, RoomSpeech

_ADVICE = "a quieter machine can tell"


def unless_disturbed(room: RoomSession, since: int, broken: Broken) -> Broken | Unsure:
    """Return the breach that was seen in a room, or Unsure if frames or sound may have been lost on our
    side after the event `since`."""
    return _unless_one_came_after(room.disturbances, since, broken)


def unless_late(room: RoomSession, since: int, broken: Broken) -> Broken | Unsure:
    """Return the breach of a time of some milliseconds, or in sound that was heard, or Unsure if the kit
    itself was late, or anything may have been lost, after the event `since`."""
    return _unless_one_came_after([*room.disturbances, *room.stalls], since, broken)


def _unless_one_came_after(disturbances: list[Disturbance], since: int, broken: Broken) -> Broken | Unsure:
    """Excuse a breach in a room, if one of these disturbances (packets lost by the network, or a late kit)
    came after the event `since`: return Unsure instead. Return the breach if none did."""
    reason = next((disturbance.reason for disturbance in disturbances if disturbance.seq > since), "")
    if not reason:
        return broken
    return Unsure(f"{reason}: expected {broken.expected}, found {broken.actual}; {_ADVICE}")


def missing_keyframes(room: RoomSession, speech: RoomSpeech) -> frozenset[int]:
    """Return the numbers of the keyframes of a request that did not come through the room; empty if as many
    came as are due, however they are numbered."""
    came = {seen.packet.frame_seq for seen in room.conversation_of(speech) if seen.packet is not None}
    return frozenset(range(speech.keyframes)) - came if len(came) < speech.keyframes else frozenset()


def unless_lost(room: RoomSession, speech: RoomSpeech, broken: Broken) -> Broken | Unsure:
    """Return `broken`, which says that keyframes are missing in this speech; but Unsure if the room's network
    may have lost them: if some came, and no other complete conversation misses the same keyframes."""
    missing = missing_keyframes(room, speech)
    # Half of them cannot be lost in every conversation without a trace of it.
    is_part = 0 < 2 * len(missing) < speech.keyframes
    others = [another for another in room.complete_speeches if another is not speech and another.keyframes]
    if not is_part or any(_miss_the_same(room, speech, other) for other in others):
        return unless_disturbed(room, speech.first_seq, broken)
    numbers = ", ".join(map(str, sorted(missing)[:5])) + (", ..." if len(missing) > 5 else "")
    return Unsure(
        f"{len(missing)} of {speech.keyframes} keyframes did not come ({numbers}), in no other conversation "
        f"the same ones: WebRTC may have lost them; {_ADVICE}"
    )


def _miss_the_same(room: RoomSession, speech: RoomSpeech, other: RoomSpeech) -> bool:
    """Return whether two requests of speech miss the same keyframes in the room, counted from the beginning
    or from the end of each. Losses on the network would fall on other keyframes each time, so they do not
    excuse such a gap."""
    most = min(speech.keyframes, other.keyframes)
    ours, theirs = missing_keyframes(room, speech), missing_keyframes(room, other)
    from_start = {number for number in ours if number < most}
    from_end = {speech.keyframes - number for number in ours if speech.keyframes - number <= most}
    return (bool(from_start) and from_start == {number for number in theirs if number < most}) or (
        bool(from_end)
        and from_end == {other.keyframes - number for number in theirs if other.keyframes - number <= most}
    )
