"""The rules for a client."""

from spatius_sim.rules.rule import Level, Provenance, Rule

_DOCUMENTED, _OBSERVED, _ASSUMED = Provenance

RULES: tuple[Rule, ...] = (
    Rule(
        "C-ID",
        Level.MUST,
        "yieldAudioData MUST return a non-empty conversationId, the same one for every chunk of a round",
        "seed:002",
        _DOCUMENTED,
    ),
    Rule(
        "C-ID-NEW",
        Level.MUST,
        "the first non-empty audio after an end mark or an interrupt MUST get a new id, unique for "
        "this decoder",
        "docs:web-sdk",
        _DOCUMENTED,
        ("C-ID",),
    ),
    Rule(
        "C-MISMATCH",
        Level.MUST,
        "motion with any other id than the current one MUST change nothing and raise nothing",
        "seed:002, seed:004",
        _DOCUMENTED,
        (
            "C-ID",
            "C-ID-NEW",
        ),
    ),
    Rule(
        "C-EARLY",
        Level.MUST,
        "motion before any audio MUST be discarded",
        "seed:002",
        _DOCUMENTED,
        (
            "C-ID",
            "C-ID-NEW",
        ),
    ),
    Rule(
        "C-INTERRUPT",
        Level.MUST,
        "interrupt MUST clear audio and motion, and late motion of the old id is discarded",
        "docs:audio-io",
        _DOCUMENTED,
        (
            "C-ID",
            "C-ID-NEW",
        ),
    ),
    Rule(
        "C-PAUSE",
        Level.MUST,
        "pause and resume MUST lose nothing",
        "docs:audio-io",
        _DOCUMENTED,
        (
            "C-ID",
            "C-ID-NEW",
        ),
    ),
    Rule(
        "C-EMPTY",
        Level.MUST,
        "no list, or one with no elements, with the current id MUST make that session audio-only, "
        "and the audio plays to its end",
        "seed:002",
        _DOCUMENTED,
        (
            "C-ID",
            "C-ID-NEW",
        ),
    ),
    Rule(
        "C-EMPTY-STICKY",
        Level.MUST,
        "in audio-only, later motion for that session MUST be ignored",
        "seed:002",
        _DOCUMENTED,
        (
            "C-ID",
            "C-ID-NEW",
        ),
    ),
    Rule(
        "C-EMPTY-SCOPE",
        Level.MUST,
        "the session after one that was audio-only MUST start with motion again",
        'seed:002 ("for that session")',
        _DOCUMENTED,
        (
            "C-ID",
            "C-ID-NEW",
        ),
    ),
    Rule(
        "C-EMPTY-MISMATCH",
        Level.MUST,
        "an empty list with a mismatched id MUST NOT switch anything",
        "seed:002 (discarded)",
        _DOCUMENTED,
        (
            "C-ID",
            "C-ID-NEW",
        ),
    ),
    Rule(
        "C-ABNORMAL",
        Level.MUST,
        "with bytes that no protobuf parser accepts the audio MUST play to its end, and nothing crashes",
        "docs:faq",
        _DOCUMENTED,
        (
            "C-ID",
            "C-ID-NEW",
        ),
    ),
    Rule(
        "C-NOEND",
        Level.MUST,
        "without an end mark, interrupt, close or error the state MUST NOT return to idle for 10 s "
        "past the audio",
        "docs:audio-io",
        _DOCUMENTED,
        (
            "C-ID",
            "C-ID-NEW",
        ),
    ),
    Rule(
        "C-STARVE",
        Level.MUST,
        "with motion late, audioIndependent MUST keep audio going, and strictSync stalls it and says so",
        "docs:sdk-capabilities",
        _DOCUMENTED,
        (
            "C-ID",
            "C-ID-NEW",
        ),
    ),
    Rule(
        "C-STATES",
        Level.MUST,
        "idle, playing and paused MUST change as documented, and idle comes back after the end",
        "docs:state-events",
        _DOCUMENTED,
        (
            "C-ID",
            "C-ID-NEW",
            "C-INTERRUPT",
            "C-PAUSE",
            "C-EMPTY",
            "C-ABNORMAL",
            "C-NOEND",
            "C-STARVE",
        ),
    ),
    Rule(
        "C-ID-CURRENT",
        Level.MUST,
        "getCurrentConversationId MUST give the active id, and none before the first audio and "
        "after an interrupt",
        "seed:004",
        _DOCUMENTED,
        ("C-ID", "C-ID-NEW", "C-STATES"),
    ),
    Rule(
        "C-UNKNOWN",
        Level.MUST,
        "unknown protobuf fields MUST be tolerated",
        "proto3; no document says it in words",
        _ASSUMED,
        (
            "C-ID",
            "C-ID-NEW",
        ),
    ),
    Rule(
        "C-MATCH",
        Level.MUST,
        "motion given with the current id MUST be decoded and played in order; the argument "
        "decides, the payload's own req_id is never compared",
        "seed:002",
        _DOCUMENTED,
        (
            "C-ID",
            "C-ID-NEW",
            "C-MISMATCH",
            "C-EARLY",
            "C-INTERRUPT",
            "C-PAUSE",
            "C-EMPTY-STICKY",
            "C-EMPTY-SCOPE",
            "C-EMPTY-MISMATCH",
            "C-UNKNOWN",
        ),
    ),
    Rule(
        "C-SYNC",
        Level.SHOULD,
        "keyframe k SHOULD play at k/25 s of the audio clock",
        "recording",
        _OBSERVED,
        (
            "C-ID",
            "C-ID-NEW",
            "C-STARVE",
            "C-MATCH",
        ),
    ),
)
