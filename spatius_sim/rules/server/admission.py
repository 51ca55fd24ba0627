"""S rules on admission: who gets a token, and whom the ingress lets in."""

import json
from collections.abc import Iterator

from spatius_sim.protocol.console_api import MAX_TOKEN_LIFE_SECONDS
from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import Advice, Half, Level, Provenance, Speech, rule
from spatius_sim.story.turn_story import Story
from spatius_sim.trace.event_text import describe_provocation
from spatius_sim.trace.events import (
    Closed,
    Event,
    Lane,
    Opened,
    Provocation,
    Provoked,
    Refused,
    TokenRequested,
)
from spatius_sim.wires.optional_features import KEYS

_CLOCKS_DIFFER_SECONDS = 60
"""The kit's clock and the server's may differ by this much: an expireAt so near to a border of the window is
not judged."""

_BAD_KEYS = (Provocation.WRONG_KEY, Provocation.MISSING_KEY)

_EXPIRED_TOKENS = (Provocation.EXPIRED_TOKEN, Provocation.USED_TOKEN)

_REFUSALS = {
    Provocation.INVENTED_TOKEN: (400, "invalid session token"),
    Provocation.UNKNOWN_AVATAR: (404, "avatar not found"),
    Provocation.MISSING_TOKEN: (0, ""),
}
"""Status and words of the refusals that the service was seen to give (sdk-e2e). Status 0 means any 4xx:
nobody has seen how the service refuses a request without a token."""


@rule(
    "S-TOKEN-WINDOW",
    Level.MUST,
    "a token request whose expireAt lies outside (now, now + 24 h) MUST be refused with a readable error",
    "docs:api-reference, sdk-py",
    Provenance.DOCUMENTED,
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "a relay with a wrong expiry works here, and in production no session opens: a still face",
        "the server does not compare expireAt with its clock, or takes milliseconds for seconds",
        "refuse an expireAt outside the next 24 h with a 4xx, and say in the body what is wrong",
    ),
)
def check_token_window(story: Story) -> Iterator[Kept | Broken]:
    """Check each token request whose expireAt lies outside the allowed window. The server must answer with a
    status 4xx and an error text, and issue no token."""
    mistakes = _map_mistakes_by_connection(story)
    bodies = {
        event.connection: event.content.reason
        for event in story.trace.on_lane(Lane.CONSOLE)
        if isinstance(event.content, Refused)
    }
    for event in story.trace.on_lane(Lane.CONSOLE):
        if event.connection in mistakes or not isinstance(event.content, TokenRequested):
            continue
        request = event.content
        if request.expire_at is None or not _is_outside_window(request.expire_at - request.now):
            continue
        description = f"expireAt {request.expire_at - request.now:.0f} s ahead"
        body = bodies.get(event.connection, "")
        if request.token or request.status == 200:
            yield Broken(f"a refusal of {description}", f"HTTP {request.status} and a token", (event.seq,))
        elif not 400 <= request.status < 500 or not body.strip():
            actual = f"HTTP {request.status} {body.strip() or 'with no body'}"
            yield Broken(f"{description} refused by a 4xx with a readable error", actual, (event.seq,))
        else:
            yield Kept()


@rule(
    "S-TOKEN-KEY",
    Level.MUST,
    "a token request with a wrong or no X-Api-Key MUST be refused, and no token come back",
    "docs:api-reference",
    Provenance.DOCUMENTED,
    needs=(KEYS,),
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "nothing, but whoever knows the address gets tokens, and somebody else pays for the sessions",
        "the server does not read X-Api-Key, or puts a token into its refusal",
        "compare X-Api-Key before anything else, and answer a wrong one with an error and no token",
    ),
)
def check_api_key(story: Story) -> Iterator[Kept | Broken]:
    """Check each token request that the kit made with a wrong API key or none: the answer must be an error,
    and hold no token."""
    mistakes = _map_mistakes_by_connection(story)
    for event in story.trace.on_lane(Lane.CONSOLE):
        mistake = mistakes.get(event.connection)
        if mistake not in _BAD_KEYS or not isinstance(event.content, TokenRequested):
            continue
        if event.content.status >= 400 and not event.content.token:
            yield Kept()
        else:
            actual = f"HTTP {event.content.status}{' and a token' if event.content.token else ''}"
            yield Broken(f"a refusal of {describe_provocation(mistake)}", actual, (event.seq,))


@rule(
    "S-UPGRADE-REFUSED",
    Level.MUST,
    "a wrong or missing session token, and an unknown avatar id, MUST be refused at the upgrade, with "
    "status and body if these are known",
    "sdk-e2e",
    Provenance.OBSERVED,
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "a still face, and a relay that cannot tell a wrong token from a wrong avatar",
        "the server takes the WebSocket first and checks later, or refuses with another status or text",
        "check token, app and avatar before the 101, and refuse with the status and the words under Expected",
    ),
)
def check_bad_upgrades(story: Story) -> Iterator[Kept | Broken]:
    """Check each WebSocket upgrade in which the kit made a mistake on purpose: the server must refuse it,
    with the known status and words."""
    for event, mistake in _find_upgrades_with_mistake(story):
        if mistake not in _REFUSALS:
            continue
        status, words = _REFUSALS[mistake]
        quoted_words = f" {words!r}" if words else ""
        expected = f"{describe_provocation(mistake)} refused with {status or 'a 4xx'}{quoted_words}"
        match event.content:
            case Refused(actual_status, body) if _is_wanted_status(
                actual_status, status
            ) and words in _read_refusal_words(body):
                yield Kept()
            case Refused(actual_status, body):
                yield Broken(expected, f"HTTP {actual_status} {body}", (event.seq,))
            case _:
                yield Broken(expected, "a WebSocket was opened", (event.seq,))


@rule(
    "S-TOKEN-EXPIRY",
    Level.MUST,
    "an expired token MUST open nothing new, and what is open stays open",
    "docs:auth",
    Provenance.DOCUMENTED,
    waits="a token has to expire",
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "the face stops in mid-conversation when the token expires; or a stolen token works for ever",
        "the server checks the expiry of sessions that are open, or of none",
        "check the expiry once: when a session is opened",
    ),
)
def check_token_expiry(story: Story) -> Iterator[Kept | Broken]:
    """Check each WebSocket upgrade with an expired token: the server must refuse it. Also check each session
    whose token expires while it is open: it must stay open."""
    for event, mistake in _find_upgrades_with_mistake(story):
        if mistake not in _EXPIRED_TOKENS:
            continue
        if isinstance(event.content, Refused):
            yield Kept()
        else:
            yield Broken(f"{describe_provocation(mistake)} refused", "a WebSocket was opened", (event.seq,))
    for turn in story.turns:
        if not _has_admission_token_expired(story, turn.client, turn.started_seq) or turn.waited_seq is None:
            continue
        close_seqs = [
            event.seq
            for event in story.trace.on_lane(Lane.UPSTREAM)
            if event.connection == turn.client
            and isinstance(event.content, Closed)
            and not event.content.by_kit
            and event.seq < turn.waited_seq
        ]
        if close_seqs:
            yield Broken(
                "what is open stays open past its token's expiry", "it was closed", tuple(close_seqs)
            )
        else:
            yield Kept()


def _map_mistakes_by_connection(story: Story) -> dict[str, Provocation]:
    """Return, for each connection on which the kit made a mistake on purpose, which mistake it was. The
    server under test should refuse these connections."""
    return {
        event.connection: event.content.intent
        for event in story.trace.on_lane(Lane.KIT)
        if isinstance(event.content, Provoked)
    }


def _find_upgrades_with_mistake(story: Story) -> Iterator[tuple[Event, Provocation]]:
    """Yield each WebSocket upgrade in which the kit made a mistake on purpose, so that the server should
    refuse it: the event with its outcome, and the mistake."""
    mistakes = _map_mistakes_by_connection(story)
    for event in story.trace.on_lane(Lane.UPSTREAM):
        if isinstance(event.content, Opened | Refused) and event.connection in mistakes:
            yield event, mistakes[event.connection]


def _has_admission_token_expired(story: Story, connection: str, before_seq: int) -> bool:
    """Return whether the token by which the ingress let this connection in had expired before event number
    `before_seq`, while its session was open: what was admitted must stay open then."""
    return any(
        event.connection == connection and event.content == Provoked(Provocation.OUTLIVED_TOKEN)
        for event in story.trace.on_lane(Lane.KIT)
        if event.seq < before_seq
    )


def _is_outside_window(life_seconds: float) -> bool:
    """Return whether a token that lives for this many seconds is surely too short-lived or too long-lived."""
    return not -_CLOCKS_DIFFER_SECONDS < life_seconds < MAX_TOKEN_LIFE_SECONDS + _CLOCKS_DIFFER_SECONDS


def _is_wanted_status(status: int, wanted_status: int) -> bool:
    """Return whether the server refused with the wanted status. If `wanted_status` is 0, any 4xx is right."""
    return status == wanted_status if wanted_status else 400 <= status < 500


def _read_refusal_words(body: str) -> str:
    """Return in lower case why the server refused. This is the `message` in the JSON body of its HTTP answer,
    or the whole body if there is none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return body.lower()
    return str(document.get("message", body) if isinstance(document, dict) else body).lower()
