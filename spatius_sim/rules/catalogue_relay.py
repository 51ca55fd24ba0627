"""The rules for a relay: U as Motion Server sees it, R as its client does."""

from spatius_sim.dialects.features import AUDIO, CLIENT_AUDIO, PCM, SEVERAL_TURNS, STREAMING
from spatius_sim.rules.rule import Level, Provenance, Rule

_DOCUMENTED, _OBSERVED, _ASSUMED = Provenance

RULES: tuple[Rule, ...] = (
    Rule(
        "U-TOKEN",
        Level.MUST,
        "the relay MUST ask the Console API for a token, with an expiry in the window, before it connects",
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
        needs=(AUDIO,),
    ),
    Rule(
        "R-AUDIO-COMPLETE",
        Level.MUST,
        "in a clean turn the audio delivered MUST equal the audio sent up: byte for byte where format "
        "and rate agree, else in length to 40 ms",
        "seed:001",
        _DOCUMENTED,
        ("R-END-AUDIO",),
        (AUDIO, PCM),
    ),
    Rule(
        "R-AUDIO-FIRST",
        Level.MUST,
        "some non-empty audio of a conversation MUST arrive before its first motion",
        "seed:002",
        _DOCUMENTED,
        ("R-MOTION-VERBATIM", "R-AUDIO-COMPLETE"),
        (AUDIO, STREAMING),
    ),
    Rule(
        "R-TURNS",
        Level.MUST,
        "clean turns on one connection MUST stay apart: motion never lands in another turn's conversation",
        "seed:002",
        _DOCUMENTED,
        ("R-MOTION-VERBATIM", "R-AUDIO-FIRST", "R-END-AUDIO"),
        (SEVERAL_TURNS,),
    ),
    Rule(
        "R-ISOLATION",
        Level.MUST,
        "with distinct, audible client audio, one client MUST never get another's audio or motion",
        "the relay serves several clients; no document says it in words",
        _ASSUMED,
        ("R-MOTION-VERBATIM",),
        (CLIENT_AUDIO,),
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
)
