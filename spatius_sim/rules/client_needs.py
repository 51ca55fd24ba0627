"""What a client must have for a rule to be judged: where it lacks that, the rule is NOT_APPLICABLE."""

from spatius_sim.story.client_story import ClientStory

_SHOWN = ("yieldFramesData", "advance", "observe", "observe.keyframesRendered")
_PLAYED = ("advance", "observe", "observe.samplesPlayed", "observe.state")

NEEDS: dict[str, tuple[str, ...]] = {
    "C-ID-CURRENT": ("observe", "observe.conversationId"),
    "C-MISMATCH": _SHOWN,
    "C-EARLY": _SHOWN,
    "C-INTERRUPT": ("interrupt", *_SHOWN),
    "C-EMPTY": ("yieldFramesData", *_PLAYED),
    "C-EMPTY-STICKY": _SHOWN,
    "C-EMPTY-SCOPE": _SHOWN,
    "C-EMPTY-MISMATCH": _SHOWN,
    "C-ABNORMAL": ("yieldFramesData", *_PLAYED),
    "C-PAUSE": ("pause", "resume", *_PLAYED),
    "C-NOEND": ("advance", "observe", "observe.state"),
    "C-STARVE": _PLAYED,
    "C-STATES": ("advance", "observe", "observe.state"),
    "C-MATCH": _SHOWN,
    "C-UNKNOWN": _SHOWN,
    "C-SYNC": (*_SHOWN, "observe.samplesPlayed"),
}
"""Requests and members of `observe`, beside `reset` and `yieldAudioData`, which every rule needs."""


def missing(rule_id: str, story: ClientStory) -> list[str]:
    """What the rule needs and the client lacks."""
    needed = ("reset", "yieldAudioData", *NEEDS.get(rule_id, ()))
    lacking = [name for name in needed if name in story.lacks]
    if rule_id == "C-STARVE" and not story.modes:
        lacking.append("the modes audioIndependent and strictSync")
    return lacking
