"""R rules on audio: complete, before the motion, marked at its end."""

from collections.abc import Iterator

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.rules.findings import Broken, Check, Kept
from spatius_sim.rules.turns import Story, Turn

_TOLERANCE_SECONDS = 0.04
"""One keyframe: how far audio of another format or rate may differ in length (rules.md)."""


def audio_complete(story: Story) -> Iterator[Kept | Broken]:
    """R-AUDIO-COMPLETE."""
    for turn in story.clean_turns:
        if not turn.requests:
            continue
        up_rate = turn.requests[0].sample_rate
        down_rate = story.output_rates.get(turn.client, up_rate)
        up = b"".join(bytes(request.audio) for request in turn.requests)
        down = b"".join(bytes(conversation.audio) for conversation in turn.conversations)
        if up == down or (up_rate != down_rate and _alike_in_length(up, up_rate, down, down_rate)):
            yield Kept()
        else:
            yield Broken(
                f"all {len(up)} bytes of audio of {turn.name} that went up ({up_rate} Hz)",
                f"{len(down)} bytes came down ({down_rate} Hz); {_difference(up, down)}",
                _events(turn),
            )


def audio_first(story: Story) -> Iterator[Kept | Broken]:
    """R-AUDIO-FIRST."""
    for turn in story.turns:
        arrived = [
            delivery.seq
            for payload in turn.payloads
            for delivery in payload.deliveries
            if delivery.client == turn.client
        ]
        heard = [c.first_audio_seq for c in turn.conversations if c.first_audio_seq is not None]
        if not arrived or not turn.clean:
            continue
        if heard and min(heard) < min(arrived):
            yield Kept()
        else:
            yield Broken(
                f"audio of {turn.name} before its first motion",
                f"motion came as event {min(arrived)}, "
                + (f"the first audio as event {min(heard)}" if heard else "and no audio at all"),
                (min(arrived), *heard[:1]),
            )


def end_audio(story: Story) -> Iterator[Kept | Broken]:
    """R-END-AUDIO."""
    for turn in story.clean_turns:
        for conversation in turn.conversations:
            if len(conversation.marks) == 1:
                yield Kept()
                continue
            times = "never" if not conversation.marks else f"{len(conversation.marks)} times"
            yield Broken(
                f"the last audio of {turn.name} marked as last, once",
                f"it was marked {times}",
                (conversation.first_seq, *conversation.marks),
            )


def _alike_in_length(up: bytes, up_rate: int, down: bytes, down_rate: int) -> bool:
    if not up_rate or not down_rate:
        return False
    up_seconds = len(up) / BYTES_PER_SAMPLE / up_rate
    down_seconds = len(down) / BYTES_PER_SAMPLE / down_rate
    return abs(up_seconds - down_seconds) <= _TOLERANCE_SECONDS


def _difference(up: bytes, down: bytes) -> str:
    shorter = min(len(up), len(down))
    first = next((i for i in range(shorter) if up[i] != down[i]), shorter)
    return f"the first difference is at byte {first}"


def _events(turn: Turn) -> tuple[int, ...]:
    firsts = [request.first_seq for request in turn.requests]
    return (*firsts, *(conversation.first_seq for conversation in turn.conversations))


CHECKS: dict[str, Check] = {
    "R-AUDIO-COMPLETE": audio_complete,
    "R-AUDIO-FIRST": audio_first,
    "R-END-AUDIO": end_audio,
}
