"""Says when frames and sound may be lost on their way to us, so that what is missing accuses nobody.

A viewer of a real room knows three things: how many RTP packets the network lost, when the kit itself was
late, and which keyframes are missing. A room's server may also drop frames without a gap between its packets,
if it believes that the network is busy (tried); such losses fall on other keyframes each time.
"""

from spatius_sim.rules.findings import Broken, Unsure
from spatius_sim.story.room_story import Disturbance, RoomSession, RoomSpeech

_ADVICE = "a quieter machine can tell"


def excuse_if_disturbed(room: RoomSession, since_seq: int, broken: Broken) -> Broken | Unsure:
    """Return the breach that was seen in a room. But return Unsure if frames or sound may have been lost on
    our side after event number `since_seq`."""
    return _excuse_after_disturbance(room.disturbances, since_seq, broken)


def excuse_if_late(room: RoomSession, since_seq: int, broken: Broken) -> Broken | Unsure:
    """Return a breach of some milliseconds, or in the sound of a room. But return Unsure if the kit itself
    was late, or something may have been lost, after event number `since_seq`."""
    return _excuse_after_disturbance([*room.disturbances, *room.stalls], since_seq, broken)


def _excuse_after_disturbance(
    disturbances: list[Disturbance], since_seq: int, broken: Broken
) -> Broken | Unsure:
    """Return the breach that was seen in a room. But return Unsure if one of these disturbances (packets lost
    on the network, or a late kit) came after event number `since_seq`."""
    reason = next((disturbance.reason for disturbance in disturbances if disturbance.seq > since_seq), "")
    if not reason:
        return broken
    return Unsure(f"{reason}: expected {broken.expected}, found {broken.actual}; {_ADVICE}")


def find_missing_keyframes(room: RoomSession, speech: RoomSpeech) -> frozenset[int]:
    """Return the numbers of the keyframes of a speech that did not come through the room. Return an empty set
    if enough different keyframes came, whatever their numbers are."""
    came_numbers = {seen.packet.frame_seq for seen in room.conversation_of(speech) if seen.packet is not None}
    return (
        frozenset(range(speech.keyframes)) - came_numbers
        if len(came_numbers) < speech.keyframes
        else frozenset()
    )


def excuse_if_lost(room: RoomSession, speech: RoomSpeech, broken: Broken) -> Broken | Unsure:
    """Return the breach that keyframes of this speech are missing in the room. But return Unsure if the
    network may have lost them: fewer than half are missing, and no other speech misses the same ones."""
    missing = find_missing_keyframes(room, speech)
    # The network cannot lose half of the keyframes in every conversation and leave no trace of it.
    is_minor_part = 0 < 2 * len(missing) < speech.keyframes
    other_speeches = [
        another for another in room.complete_speeches if another is not speech and another.keyframes
    ]
    if not is_minor_part or any(_miss_same_keyframes(room, speech, other) for other in other_speeches):
        return excuse_if_disturbed(room, speech.first_seq, broken)
    numbers = ", ".join(map(str, sorted(missing)[:5])) + (", ..." if len(missing) > 5 else "")
    return Unsure(
        f"{len(missing)} of {speech.keyframes} keyframes did not come ({numbers}), in no other conversation "
        f"the same ones: WebRTC may have lost them; {_ADVICE}"
    )


def _miss_same_keyframes(room: RoomSession, speech: RoomSpeech, other_speech: RoomSpeech) -> bool:
    """Return whether two speeches miss the same keyframes in the room, counted from the start or from the end
    of each. The network loses other keyframes each time, so this is a fault of the subject."""
    shared_count = min(speech.keyframes, other_speech.keyframes)
    missing, other_missing = find_missing_keyframes(room, speech), find_missing_keyframes(room, other_speech)
    from_start = {number for number in missing if number < shared_count}
    from_end = {speech.keyframes - number for number in missing if speech.keyframes - number <= shared_count}
    return (
        bool(from_start) and from_start == {number for number in other_missing if number < shared_count}
    ) or (
        bool(from_end)
        and from_end
        == {
            other_speech.keyframes - number
            for number in other_missing
            if other_speech.keyframes - number <= shared_count
        }
    )
