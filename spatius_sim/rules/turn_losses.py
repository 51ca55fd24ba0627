"""What of a turn did not come to its client, and which rule judges the same loss in an ordinary turn."""

from typing import NamedTuple

from spatius_sim.protocol.messages import AudioFormat
from spatius_sim.story.turn_story import Story, Turn
from spatius_sim.wires.optional_features import AUDIO, CLIENT_CHOOSES_SPEECH

MOTION_LOST = ("E-LIMIT", "R-MOTION-VERBATIM", "R-MOTION-ORDER", "R-ISOLATION", "R-MOTION-COMPLETE")
"""The rules that an ordinary turn breaks if its motion does not arrive, or comes to another client."""
AUDIO_LOST = ("U-AUDIO-COMPLETE", "R-END-AUDIO", "R-AUDIO-COMPLETE")
"""The rules that an ordinary turn breaks if its audio does not arrive."""
NEVER_ENDED = ("R-END-AUDIO",)
"""The rules that an ordinary turn breaks if the end of its audio is not marked."""


class Loss(NamedTuple):
    """What of a turn is missing, in words, and the rules from whose breach that may follow."""

    missing: str
    follows_from: tuple[str, ...]


def find_loss(story: Story, turn: Turn, until_seq: int) -> Loss | None:
    """Find the first loss of this turn: what had not come before event number `until_seq`. It may be audio
    that did not go up to Motion Server, motion, the end mark, or audio that did not come down. Return None if
    nothing was missing."""
    # If the relay chooses the speech, all turns may sound alike; if it resamples, no audio is as it was said.
    relay_chooses_speech = CLIENT_CHOOSES_SPEECH in story.trace.header.lacks
    requests = [
        request
        for request in turn.requests
        if relay_chooses_speech or request.found_by_audio or request.sample_rate != turn.sample_rate
        if not request.stopped_early
    ]
    if not any(request.ends and request.ends[0] < until_seq for request in requests):
        return Loss(
            "its audio did not go up to its end", ("U-AUDIO-END", "U-AUDIO-COMPLETE", "R-CONVERSATION")
        )
    lost_payloads = [
        payload
        for payload in turn.payloads
        if not any(
            delivery.client == turn.client and delivery.seq < until_seq for delivery in payload.deliveries
        )
    ]
    if lost_payloads:
        return Loss(f"{len(lost_payloads)} of its {len(turn.payloads)} payloads never arrived", MOTION_LOST)
    if AUDIO in story.trace.header.lacks:
        return None
    if not any(mark < until_seq for conversation in turn.conversations for mark in conversation.marks):
        return Loss("its audio was never marked as ended", NEVER_ENDED)
    up, down = turn.join_audio_sent_up(requests), turn.audio_down
    same_rate = story.output_rates.get(turn.client, turn.sample_rate) == requests[0].sample_rate
    is_pcm = requests[0].configured.audio_format == AudioFormat.PCM_S16LE
    if is_pcm and same_rate and not turn.is_same_speech(up, down, requests[0].sample_rate):
        return Loss(f"{len(down)} of its {len(up)} bytes of audio came down", AUDIO_LOST)
    return None
