"""What a tape can be judged by: absence of what could not be seen, or was taken out, is nobody's fault."""

from spatius_sim.story.join import Story
from spatius_sim.trace.events import Lane, SecretKnown, Trace

_OF_ONE_HALF = {
    "upstream": ("S-", "U-"),
    "downstream": ("R-AUDIO-FIRST", "R-END-AUDIO", "R-CONVERSATION", "R-SECRETS"),
}

_COMPARES_INTENT = "U-AUDIO-COMPLETE"
"""What a proxy saw go up is all that it knows of what was to be spoken."""

_WITHOUT_SPEECH = (
    "S-",
    "U-TOKEN",
    "U-CONFIGURE",
    "U-RETRY",
    "U-TURN-ID",
    "U-AUDIO-ALIGNED",
    "R-MOTION-VERBATIM",
    "R-MOTION-ORDER",
    "R-SECRETS",
)
"""What compares no speech, and needs no turns or knows them by their connections and times."""

_OF_ONE_TURN_WITHOUT_SPEECH = frozenset(
    {
        "U-AUDIO-END",
        "R-MOTION-COMPLETE",
        "R-AUDIO-FIRST",
        "R-END-AUDIO",
        "R-END-MOTION",
        "R-CONVERSATION",
    }
)
"""Turns are told apart by their speech: without it, these can be judged where there is but one."""


def beyond(rule_id: str, story: Story) -> str:
    """Why this rule cannot be judged on this trace; "" where it can."""
    header = story.trace.header
    seen = _OF_ONE_HALF.get(header.halves)
    if seen is not None and not rule_id.startswith(seen):
        return f"the tape holds the {header.halves} half alone"
    if rule_id == _COMPARES_INTENT and header.halves == "upstream":
        return "the tape does not hold what was to be spoken"
    if rule_id == "R-SECRETS" and seen is not None and not _secrets_known(story.trace):
        return "no secret is known that could be looked for"
    if header.speech or rule_id.startswith(_WITHOUT_SPEECH) or _own_turns(story.trace, rule_id):
        return ""
    if rule_id in _OF_ONE_TURN_WITHOUT_SPEECH and len(story.turns) == 1:
        return ""
    return "the tape holds no speech"


def _secrets_known(trace: Trace) -> bool:
    return any(isinstance(event.what, SecretKnown) for event in trace.on(Lane.KIT))


def _own_turns(trace: Trace, rule_id: str) -> bool:
    """Whether every request is known to be a turn of its own, as on the tape of a proxy."""
    return trace.header.halves == "upstream" and rule_id.startswith("U-AUDIO-END")
