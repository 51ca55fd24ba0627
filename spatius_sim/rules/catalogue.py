"""The catalogue as data. An id never changes its meaning and is never reused.

Source tags are explained at the head of every rule listing: `seed:NNN` and `docs:PAGE` are documents,
`recording`, `sdk-py`, `sdk-e2e` and `demos` are what published software was seen to do.
"""

from dataclasses import dataclass
from enum import StrEnum

from spatius_sim.protocol.errors import UsageError

REVISION = 2
"""Raised whenever a rule is added, retired or judged otherwise."""


class Level(StrEnum):
    """How binding a rule is."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Provenance(StrEnum):
    """Where a rule comes from."""

    DOCUMENTED = "DOCUMENTED"
    OBSERVED = "OBSERVED"
    ASSUMED = "ASSUMED"


class Verdict(StrEnum):
    """What a run says of a rule."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    UNEXERCISED = "UNEXERCISED"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERRORED = "ERRORED"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `presumes` names the rules without which it cannot be judged, `needs` the features of a
    subject without which it is NOT_APPLICABLE."""

    id: str
    level: Level
    sentence: str
    source: str
    provenance: Provenance
    presumes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """Whom it judges: `server` for S rules, `client` for C rules, `relay` for U and R rules."""
        return {"S": "server", "C": "client"}.get(self.id[0], "relay")


KEYS = "keys"
"""A server that lacks keys accepts every API key."""

IDS = "ids"
"""A server that lacks ids of its own replays a recording, with the ids of the recording."""

EGRESS = "egress"
"""A server that lacks egress, or for which the kit has no room to name, refuses every egress."""

FEATURES = (KEYS, IDS, EGRESS)
"""What a subject may declare that it lacks."""

_DOCUMENTED, _OBSERVED, _ASSUMED = Provenance

RULES: dict[str, Rule] = {
    rule.id: rule
    for rule in (
        Rule(
            "S-TOKEN-WINDOW",
            Level.MUST,
            "a token request whose expireAt lies outside (now, now + 24 h) MUST be refused with a readable "
            "error",
            "docs:api-reference, sdk-py",
            _DOCUMENTED,
        ),
        Rule(
            "S-TOKEN-KEY",
            Level.MUST,
            "a token request with a wrong or no X-Api-Key MUST be refused, and no token come back",
            "docs:api-reference",
            _DOCUMENTED,
            needs=(KEYS,),
        ),
        Rule(
            "S-UPGRADE-REFUSED",
            Level.MUST,
            "a bad credential or id MUST be refused at the upgrade, with its status and body where these "
            "are known",
            "sdk-e2e",
            _OBSERVED,
        ),
        Rule(
            "S-TOKEN-EXPIRY",
            Level.MUST,
            "an expired token MUST open nothing new, and what is open stays open",
            "docs:auth",
            _DOCUMENTED,
        ),
        Rule(
            "S-CONFIRM",
            Level.MUST,
            "a valid configuration MUST be answered first with ServerConfirmSession and a non-empty "
            "connection_id",
            "sdk-py",
            _OBSERVED,
        ),
        Rule(
            "S-HANDSHAKE-REFUSED",
            Level.MUST,
            "a wrong first message, text, undecodable bytes and an unsupported rate MUST be answered with a "
            "ServerError with the known text",
            "sdk-py",
            _OBSERVED,
        ),
        Rule(
            "S-MOTION-IDS",
            Level.MUST,
            "every response MUST carry the connection's id and the req_id of its audio",
            "recording",
            _OBSERVED,
            ("S-CONFIRM",),
            (IDS,),
        ),
        Rule(
            "S-MOTION-END",
            Level.MUST,
            "each req_id, uninterrupted, unfailed and without egress, MUST get exactly one response with "
            "end=true, its last",
            "recording, sdk-py",
            _OBSERVED,
            ("S-MOTION-IDS",),
        ),
        Rule(
            "S-MOTION-COUNT",
            Level.MUST,
            "the keyframes of a req_id MUST be samples * 25 // rate, however the audio was cut",
            "recording",
            _OBSERVED,
            ("S-MOTION-END",),
        ),
        Rule(
            "S-MOTION-SEGMENTS",
            Level.SHOULD,
            "motion SHOULD come in segments of 50 keyframes first, then 100 each, the rest at the end; a "
            "closing response with none is allowed",
            "recording",
            _OBSERVED,
            ("S-MOTION-IDS",),
        ),
        Rule(
            "S-MOTION-SHAPE",
            Level.MUST,
            "every keyframe MUST have the seven fields in their sizes, all finite",
            "recording",
            _OBSERVED,
        ),
        Rule(
            "S-EGRESS-SILENT",
            Level.MUST,
            "with an egress configured no motion MUST come back on the socket",
            "docs:python-sdk",
            _DOCUMENTED,
            needs=(EGRESS,),
        ),
        Rule(
            "S-INTERRUPT",
            Level.MUST,
            "later than 1 s after ClientInterrupt nothing MUST come for that req_id",
            "documented for egress sessions only; elsewhere the second is our reading",
            _ASSUMED,
            ("S-MOTION-IDS",),
        ),
        Rule(
            "U-TOKEN",
            Level.MUST,
            "the relay MUST ask the Console API for a token, with an expiry in the window, before it "
            "connects",
            "seed:000",
            _DOCUMENTED,
        ),
        Rule(
            "U-CONFIGURE",
            Level.MUST,
            "the relay's first message MUST configure a supported rate, mono s16le or Ogg Opus",
            "docs:audio",
            _DOCUMENTED,
        ),
        Rule(
            "U-AUDIO-END",
            Level.MUST,
            "each req_id that was not interrupted, hung up on or failed MUST carry exactly one end=true",
            "docs:audio-io, sdk-py",
            _DOCUMENTED,
        ),
        Rule(
            "R-MOTION-VERBATIM",
            Level.MUST,
            "every motion payload MUST arrive byte for byte as Motion Server sent it",
            "seed:002, seed:004",
            _DOCUMENTED,
        ),
        Rule(
            "R-MOTION-COMPLETE",
            Level.MUST,
            "in a clean turn no motion payload MUST be lost and none doubled",
            "seed:001",
            _DOCUMENTED,
            ("R-MOTION-VERBATIM",),
        ),
        Rule(
            "R-MOTION-ORDER",
            Level.MUST,
            "payloads of one conversation MUST arrive in the order in which they were sent",
            "seed:002",
            _DOCUMENTED,
            ("R-MOTION-VERBATIM",),
        ),
        Rule(
            "R-END-AUDIO",
            Level.MUST,
            "the last audio of a turn MUST be marked as last, once",
            "docs:audio-io",
            _DOCUMENTED,
        ),
        Rule(
            "R-AUDIO-COMPLETE",
            Level.MUST,
            "in a clean turn the audio delivered MUST equal the audio sent up: byte for byte where format "
            "and rate agree, else in length to 40 ms",
            "seed:001",
            _DOCUMENTED,
            ("R-END-AUDIO",),
        ),
        Rule(
            "R-AUDIO-FIRST",
            Level.MUST,
            "some non-empty audio of a conversation MUST arrive before its first motion",
            "seed:002",
            _DOCUMENTED,
            ("R-MOTION-VERBATIM", "R-AUDIO-COMPLETE"),
        ),
        Rule(
            "R-TURNS",
            Level.MUST,
            "clean turns on one connection MUST stay apart: motion never lands in another turn's "
            "conversation",
            "seed:002",
            _DOCUMENTED,
            ("R-MOTION-VERBATIM", "R-AUDIO-FIRST", "R-END-AUDIO"),
        ),
        Rule(
            "R-ISOLATION",
            Level.MUST,
            "with distinct, audible client audio, one client MUST never get another's audio or motion",
            "the relay serves several clients; no document says it in words",
            _ASSUMED,
            ("R-MOTION-VERBATIM",),
        ),
        Rule(
            "R-CONVERSATION",
            Level.MUST,
            "a clean turn fed to the reference decoder MUST play with nothing discarded, nothing audio-only, "
            "and come back to idle",
            "seed:002",
            _DOCUMENTED,
            (
                "R-MOTION-VERBATIM",
                "R-MOTION-COMPLETE",
                "R-MOTION-ORDER",
                "R-AUDIO-COMPLETE",
                "R-AUDIO-FIRST",
                "R-END-AUDIO",
                "R-TURNS",
                "R-ISOLATION",
            ),
        ),
        Rule(
            "R-SECRETS",
            Level.MUST,
            "no API key or session token MUST reach the client, in any message or header, plain, base64 or "
            "URL-encoded",
            "seed:000, seed:001",
            _DOCUMENTED,
        ),
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
}
"""All rules by id, each behind those that it presumes."""


def rule(rule_id: str) -> Rule:
    """The rule of that id; raises UsageError for an unknown one."""
    try:
        return RULES[rule_id]
    except KeyError:
        raise UsageError(f"no rule has the id {rule_id!r}; `spatius-sim rules` lists them all") from None


def rules_for(subject: str) -> tuple[Rule, ...]:
    """The rules that judge a `relay`, a `server` or a `client`."""
    return tuple(candidate for candidate in RULES.values() if candidate.subject == subject)
