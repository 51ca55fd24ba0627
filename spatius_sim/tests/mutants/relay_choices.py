"""The choices under which mutants of the relay are judged: honest policies, each on a wire."""

from dataclasses import replace
from typing import NamedTuple

from spatius_sim.miniatures.relay.honest_relays import ENDS_BY_SILENCE, PLAIN, PLAYS_CLIPS
from spatius_sim.model.relay.policy import AudioStart, EndMark, MotionStart, RelayPolicy, SessionScope
from spatius_sim.tests.suspects import ENDS_BY_SILENCE_WIRE


class RelayChoices(NamedTuple):
    """What one honest relay chooses, and the wire that it speaks."""

    policy: RelayPolicy
    wire: str = "json-envelope"


RELAY_CHOICES = {
    "": RelayChoices(PLAIN),
    "other policy": RelayChoices(
        RelayPolicy(
            greets=False,
            chatty=True,
            audio_start=AudioStart.WHEN_CONFIRMED,
            audio_chunk_bytes=2048,
            audio_end=EndMark.ON_LAST,
            motion_start=MotionStart.AFTER_AUDIO,
            payloads_per_message=2,
            motion_end=EndMark.ON_ITS_OWN,
            session_scope=SessionScope.CLIENT,
            attempts=2,
        )
    ),
    "speech gathered": RelayChoices(
        RelayPolicy(names_turns=False, audio_chunk_bytes=2048, gathers_speech=True, pads_speech_to=640)
    ),
    "clips": RelayChoices(PLAYS_CLIPS),
    "a rate named": RelayChoices(RelayPolicy(greets=False), "binary-header"),
    "ended by silence": RelayChoices(ENDS_BY_SILENCE, str(ENDS_BY_SILENCE_WIRE)),
    "ended by silence, session kept": RelayChoices(
        replace(ENDS_BY_SILENCE, session_scope=SessionScope.CLIENT, audio_end=EndMark.ON_LAST),
        str(ENDS_BY_SILENCE_WIRE),
    ),
}
"""A relay is judged under each of these in this order, until a rule names it. Together they take every choice
of a policy but how long silence may last, and their clients can say all that a client can say. Where its
client names a rate, the relay does not greet: a greeting would tell the client a rate to speak at. Silence
ends speech twice, because a session that is closed takes the timer along."""
