"""The answers of the Console API, and the refusals of the upgrade, as values (protocol.md sections 1 and
2)."""

import json
from dataclasses import dataclass

from spatius_sim.protocol.errors import SpatiusSimError, UnreachableError

SESSION_TOKENS_PATH = "/v1/console/session-tokens"
BOOTSTRAP_PATH = "/bootstrap"
WEBSOCKET_PATH = "/v2/driveningress/websocket"

TOKEN_PATHS = {SESSION_TOKENS_PATH: "sessionToken", "/v1/auth/session-token": "session_token"}
"""The paths at which session tokens are issued, each with the field of the answer that holds the token. PyPI
`spatialreal` 0.1.0 to 0.2.2 and its plugin ask at the second path (tried)."""

TELEMETRY_PATHS = ("/v1/traces", "/v1/metrics")
"""What sdk-py posts its OpenTelemetry to, under the endpoint of `configure_telemetry`: OTLP over HTTP."""

CONSOLE_ROOT, AUTH_ROOT = "/v1/console", "/v1/auth"
INGRESS_ROOT = "/v2/driveningress"

AUTO_REGION, DEFAULT_REGION = "auto", "us-west"

MAX_TOKEN_LIFE_SECONDS = 24 * 3600
"""The bound of a token's life: expireAt must lie before now + 24 h (docs:api-reference)."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A plain HTTP answer with a JSON body."""

    status: int
    body: str


class RequestRefusedError(SpatiusSimError):
    """Motion Server refuses a request with `answer`."""

    def __init__(self, answer: HttpAnswer) -> None:
        """Make the error from the answer of Motion Server."""
        super().__init__(f"HTTP {answer.status}: {answer.body.strip()}")
        self.answer = answer


class UpgradeRefusedError(UnreachableError):
    """A server refused an upgrade: it answered with another status than 101."""

    def __init__(self, answer: HttpAnswer) -> None:
        """Make the error from the server's answer to the upgrade."""
        super().__init__(f"the upgrade was refused: HTTP {answer.status} {answer.body.strip()}")
        self.answer = answer


def console_refusal(status: int, identifier: str, detail: str) -> RequestRefusedError:
    """Return the error with which the Console API refuses a request with this HTTP status. The body of its
    answer is `{"errors":[{...}]}`, as the SDKs' unit tests show (sdk-unit): `identifier` names the error, and
    `detail` explains it."""
    error = {
        "id": identifier,
        "status": status,
        "code": identifier,
        "title": identifier.replace("_", " ").capitalize(),
        "detail": detail,
    }
    return RequestRefusedError(HttpAnswer(status, _json_text({"errors": [error]})))


def upgrade_refusal(status: int, message: str) -> RequestRefusedError:
    """Return an error whose answer refuses an upgrade, in the form of the ingress: `{"message": ...}` and a
    newline (sdk-e2e)."""
    return RequestRefusedError(HttpAnswer(status, _json_text({"message": message}) + "\n"))


_LATEST_EXPIRY = 2**53
"""In unix seconds: larger numbers are not the same in every JSON reader, and no tape holds them."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What a token request to the Console API asks for. `expire_at` is in unix seconds; `app_id` is "" if it
    is omitted."""

    expire_at: int
    app_id: str = ""


def read_token_request(body: bytes) -> TokenRequest:
    """Return the request for a session token in the body of an HTTP request to the Console API, such as
    `{"expireAt": 1760000000}`. Raises RequestRefusedError, with status 400, for a malformed body."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise console_refusal(400, "INVALID_ARGUMENT", "the body is not JSON") from error
    if not isinstance(document, dict):
        raise console_refusal(400, "INVALID_ARGUMENT", "the body is not a JSON object")
    expire_at, app_id = document.get("expireAt"), document.get("appId", "")
    if not isinstance(expire_at, int) or isinstance(expire_at, bool) or abs(expire_at) > _LATEST_EXPIRY:
        raise console_refusal(400, "INVALID_ARGUMENT", "expireAt must be whole unix seconds")
    if not isinstance(app_id, str):
        raise console_refusal(400, "INVALID_ARGUMENT", "appId must be a string")
    return TokenRequest(expire_at, app_id)


def token_answer(path: str, token: str) -> HttpAnswer:
    """Return the answer of the Console API that gives out `token` at `path`, one of TOKEN_PATHS."""
    return HttpAnswer(200, json.dumps({TOKEN_PATHS[path]: token}))


def session_token_in(answer: HttpAnswer) -> str:
    """Return the session token in this answer of the Console API, or "" if the answer holds none."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ""
    return str(document.get("sessionToken", "")) if isinstance(document, dict) else ""


def check_expiry(request: TokenRequest, now: float) -> None:
    """Raise RequestRefusedError, by which the Console API refuses a token request with status 400, unless the
    token would expire after `now` (unix seconds) and within 24 hours (docs:api-reference)."""
    if request.expire_at <= now:
        raise console_refusal(400, "INVALID_ARGUMENT", "expire_at must be in the future")
    if request.expire_at >= now + MAX_TOKEN_LIFE_SECONDS:
        raise console_refusal(400, "INVALID_ARGUMENT", "expire_at must be within 24 hours")


def answer_bootstrap(body: bytes, now: float) -> HttpAnswer:
    """Return the console's answer to an SDK that asks for its settings at its start (bootstrap): a region,
    and the time `now` (unix seconds), in the form that the Python SDK reads (sdk-py). A malformed body is
    answered with status 400.

    ASSUMED: a region other than `auto` is echoed, the default is `us-west`, `time_sync` has this field, and a
    malformed body is refused."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict) or not isinstance(request.get("region", AUTO_REGION), str):
        return HttpAnswer(400, _json_text({"message": "the body is not a bootstrap request"}))
    region = request.get("region", AUTO_REGION)
    chosen_region = DEFAULT_REGION if region in ("", AUTO_REGION) else region
    answer = {"region": {"current": chosen_region}, "time_sync": {"server_time_ms": int(now * 1000)}}
    return HttpAnswer(200, _json_text(answer))


def answer_telemetry(content_type: str) -> tuple[str, str]:
    """Return the answer to an SDK that posts telemetry (OTLP): an empty message in the format of its request,
    as body and content type. ASSUMED, because no document says it: the vendor's own collector answers so."""
    if content_type == "application/json":
        return "{}", content_type
    return "", "application/x-protobuf"


def _json_text(value: object) -> str:
    """Return a value as the JSON text of a Console API answer, without spaces, as the service writes it
    (sdk-e2e)."""
    return json.dumps(value, separators=(",", ":"))
