"""The rules for a Motion Server."""

from spatius_sim.rules.rule import Level, Provenance, Rule
from spatius_sim.wires.features import EGRESS, IDS, KEYS

_DOCUMENTED, _OBSERVED, _ASSUMED = Provenance

RULES: tuple[Rule, ...] = (
    Rule(
        "S-TOKEN-WINDOW",
        Level.MUST,
        "a token request whose expireAt lies outside (now, now + 24 h) MUST be refused with a readable error",
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
)
