"""Says in words why nothing comes from a relay, and what to do about it."""

import json
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from spatius_sim.cli.doctor.diagnose_relay import RelayDiagnosis
from spatius_sim.engine.run_settings import Settings
from spatius_sim.protocol.console_api import CONSOLE_ROOT, INGRESS_ROOT, MAX_TOKEN_LIFE_SECONDS
from spatius_sim.protocol.environment_variables import CONSOLE_VARIABLE, INGRESS_VARIABLE, proxy_variables

_PACKAGES = ("spatius-sim", "spatius", "avatarkit", "websockets")
_USES_THE_SDK = re.compile(r"^\s*(?:import|from)\s+(?:spatius|avatarkit)\b", re.MULTILINE)
_SWITCHES_TELEMETRY_OFF = re.compile(r"configure_telemetry\(\s*(['\"])\1\s*\)")
_FOREIGN_FOLDERS = {"node_modules", "site-packages", "__pycache__"}
_MAX_FILES = 2000
_WEBSOCKETS_VERSION_WITH_BODIES = 14
_WIRE_ADVICE = (
    "declare your wire in a YAML file (`spatius-sim wire show`, `wire try`), and name it: --wire ours.yaml"
)
_NOBODY_CAME = "nobody but the kit came to the room"
_LET_IN = "the LiveKit server takes our token, and lets us into the room"
_EXPIRY = "a unix time in seconds, within the next 24 h"
_LARGEST_SOURCE = 1_048_576
_directly = build_opener(ProxyHandler({}))  # The proxy of the environment has nothing to do with 127.0.0.1.


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked: whether it is well, what was seen, and what to do if it is not well."""

    well: bool
    observation: str
    advice: str = ""


def relay_findings(diagnosis: RelayDiagnosis, settings: Settings) -> Iterator[Finding]:
    """Yield the doctor's findings about the relay that was diagnosed, one for each step of a turn: from the
    client to Motion Server, and back. The first step that failed gives the last finding."""
    if diagnosis.unreachable:
        if _NOBODY_CAME in diagnosis.unreachable:
            yield Finding(True, _LET_IN)
        yield Finding(False, diagnosis.unreachable, _unreachable_advice(diagnosis.unreachable))
        return
    if settings.room_target:
        yield Finding(True, _LET_IN)
        yield Finding(True, f"the relay is in the room {settings.room_target[1]!r}")
    else:
        yield Finding(True, "it takes our connection")
    if diagnosis.garbage and not diagnosis.understood:
        observation = f"it speaks another wire than {diagnosis.wire}: {diagnosis.first_garbage}"
        yield Finding(False, observation, _WIRE_ADVICE)
        return
    if diagnosis.garbage:
        count, first = diagnosis.garbage, diagnosis.first_garbage
        observation = f"{count} of its messages are none on the wire {diagnosis.wire}: {first}"
        yield Finding(False, observation, _WIRE_ADVICE)
    elif diagnosis.understood:
        yield Finding(True, f"it speaks {diagnosis.wire}" + (", and greets" if diagnosis.greets else ""))
    pointing_here = (
        _advice_on_proxies(settings) or _advice_on_other_endpoints(settings) or _advice_on_endpoints(settings)
    )
    yield from _upstream_findings(diagnosis, pointing_here)


def _upstream_findings(diagnosis: RelayDiagnosis, pointing_here: str) -> Iterator[Finding]:
    """Yield the doctor's finding for each step from the relay to Motion Server and back to the client.

    Stops at the first step that failed. `pointing_here` says how to point the relay at our Motion Server.
    """
    trouble = f": {diagnosis.seen}" if diagnosis.seen else ""
    if not diagnosis.asked_for_token and not diagnosis.reached_us and not diagnosis.refused:
        if diagnosis.unknown_path:
            observation = (
                f"our Motion Server was asked {diagnosis.unknown_path}, a path that it does not have"
            )
            yield Finding(False, observation, f"an endpoint has another path than ours: {pointing_here}")
            return
        if diagnosis.closed:
            observation = f"it hung up with code {diagnosis.closed}, and never came to our Motion Server"
            yield Finding(
                False, observation, "its own output says why: a variable that is not set, an error at start"
            )
            return
        own_log = "" if trouble else ". Its own log may say more: is SPATIUS_API_KEY set?"
        yield Finding(False, f"it never came to our Motion Server{trouble}", pointing_here + own_log)
        return
    if diagnosis.asked_for_token and diagnosis.token_status not in (0, 200):
        yield _refused_token_finding(diagnosis)
        return
    if diagnosis.refused:
        advice = "look at the session token, SPATIUS_APP_ID and SPATIUS_AVATAR_ID that it connects with"
        yield Finding(False, f"Motion Server refused its session: {diagnosis.refused}", advice)
        return
    if not diagnosis.reached_us:
        advice = f"its console endpoint is ours, its ingress endpoint may be another: {pointing_here}"
        yield Finding(False, f"it fetched a session token, and opened no session here{trouble}", advice)
        return
    yield Finding(True, "it opens sessions on our Motion Server")
    if not diagnosis.spoke_up:
        advice = "the client spoke and ended its turn: look at what the relay does with a client's audio"
        yield Finding(False, f"no audio went up{trouble}", advice)
        return
    yield Finding(True, "audio goes up")
    if diagnosis.turn:
        yield Finding(True, f"a turn is started by --turn {shlex.quote(diagnosis.turn)}")
    if not diagnosis.motion_down:
        advice = (
            "look at the callback that takes Motion Server's frames (transport_frames), and at what follows"
        )
        yield Finding(False, f"no motion came down to the client{trouble}", advice)
        return
    yield Finding(True, "motion comes down")


def _refused_token_finding(diagnosis: RelayDiagnosis) -> Finding:
    """Return the doctor's finding that the relay's token request was refused, with advice: the relay's clock
    may be wrong, or its API key."""
    observation = f"its token request was refused with HTTP {diagnosis.token_status}"
    token_life = diagnosis.token_life
    if token_life is None or 0 < token_life < MAX_TOKEN_LIFE_SECONDS:
        return Finding(False, observation, f"look at SPATIUS_API_KEY, and at expireAt: {_EXPIRY}")
    expiry = f"{-token_life:.0f} s in the past" if token_life <= 0 else f"{token_life / 3600:.0f} h ahead"
    advice = f"expireAt is {_EXPIRY}: is the clock of the relay's machine right?"
    return Finding(False, f"{observation}: by our clock, its expireAt lies {expiry}", advice)


def last_words(diagnosis: RelayDiagnosis) -> str:
    """Return the last output of the relay's process, for the doctor to print; "" if the diagnosis already
    shows it."""
    is_shown = diagnosis.last_output in diagnosis.unreachable
    return "" if is_shown else f"its last output: {diagnosis.last_output}"


def port_finding(port: int, fault: str) -> Finding:
    """Return the doctor's finding for a port of this machine on which we cannot listen (`fault` says why).
    Asks whether the port belongs to another spatius-sim."""
    if _simulator_answers_on(port):
        observation = f"port {port} is taken by a spatius-sim that runs already"
        return Finding(False, observation, "end it, or take another port: --motion-port")
    return Finding(False, fault, f"find it with `lsof -i :{port}`, or take another port: --motion-port")


def version_findings() -> Iterator[Finding]:
    """Yield the doctor's finding about the installed versions of Python and of related packages.

    The relay may run with other versions.
    """
    versions = {name: _installed_version(name) for name in _PACKAGES}
    installed = ", ".join(f"{name} {number}" for name, number in versions.items() if number)
    python = ".".join(map(str, sys.version_info[:3]))
    websockets = int((versions["websockets"] or "14").split(".")[0])
    if versions["spatius"] and websockets < _WEBSOCKETS_VERSION_WITH_BODIES:
        advice = (
            "pip install 'websockets>=14': older ones hide from the Server SDK why an upgrade was refused"
        )
        yield Finding(False, f"Python {python}, {installed}", advice)
    else:
        yield Finding(True, f"Python {python}, {installed}")


def telemetry_finding(folder: Path) -> Finding | None:
    """Return the finding of the doctor on the Python sources in a folder: do they switch the telemetry of the
    Server SDK off? None if they do not use the Server SDK."""
    paths_with_sdk = [path for path, text in _python_sources(folder) if _USES_THE_SDK.search(text)]
    if not paths_with_sdk:
        return None
    if any(_SWITCHES_TELEMETRY_OFF.search(text) for _, text in _python_sources(folder)):
        return Finding(True, "the Server SDK's telemetry is off")
    return Finding(
        False,
        f"{paths_with_sdk[0]} uses the Server SDK, which reports to a fixed address on the internet",
        'call spatius.configure_telemetry("") when you start, in tests at least',
    )


def _unreachable_advice(error: str) -> str:
    """Return the doctor's advice for a relay that could not be reached, chosen by the words of the error."""
    if _NOBODY_CAME in error:
        return (
            "start the relay: it joins this very room of this LiveKit server. --target-cmd lets us start it, "
            "with LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET and LIVEKIT_ROOM set"
        )
    if "key and secret" in error:
        return "LIVEKIT_API_KEY and LIVEKIT_API_SECRET must be those of the LiveKit server that --room names"
    if "no LiveKit server" in error:
        return "start the LiveKit server, or name another one: --room ws://HOST:PORT"
    if "HTTP 404" in error:
        return "the path is another one: json-envelope relays serve /ws/agent"
    if "HTTP 401" in error or "HTTP 403" in error:
        return (
            "it wants a login (--target-header 'Authorization: ...', --target-subprotocol), or another path"
        )
    if "ended with code" in error:
        return "start it by hand with the same command, and mend what it says"
    if "another wire" in error or "was not found out" in error:
        return _WIRE_ADVICE
    if "certificate" in error.lower():
        return "name the certificate that it is trusted by: --target-ca"
    return "is it running, and on that port? --target-cmd lets us start it ourselves"


def _advice_on_endpoints(settings: Settings) -> str:
    """Return the doctor's advice on how to point the relay at our Motion Server."""
    if settings.relay_start.command:
        return (
            "we set SPATIUS_CONSOLE_ENDPOINT and SPATIUS_INGRESS_ENDPOINT for its process; if it reads other "
            "variables: target-env, such as MOTION_URL={ingress}"
        )
    our_address = f"127.0.0.1:{settings.listens_at}"
    return (
        f"start it with SPATIUS_CONSOLE_ENDPOINT=http://{our_address}{CONSOLE_ROOT} and "
        f"SPATIUS_INGRESS_ENDPOINT=ws://{our_address}{INGRESS_ROOT}, and look whether it reads them (a .env "
        "file may win). In a container, 127.0.0.1 is the container itself: share the network of the host"
    )


def _advice_on_proxies(settings: Settings) -> str:
    """Return the doctor's advice on the proxy that the environment names; "" if it names no proxy, or if we
    start the relay: then we tell the relay to reach us without the proxy."""
    names = [] if settings.relay_start.command else proxy_variables(settings.environment)
    if not names:
        return ""
    return (
        f"{', '.join(names)} is set here: if it is set for the relay too, its calls of 127.0.0.1 go to that "
        "proxy. Start it with NO_PROXY=127.0.0.1,localhost. If that is done: "
        f"{_advice_on_endpoints(settings)}"
    )


def _advice_on_other_endpoints(settings: Settings) -> str:
    """Return the doctor's advice on the endpoints in this environment that are not ours; "" if there are
    none, or if we start the relay, which then gets our endpoints."""
    if settings.relay_start.command:
        return ""
    ours = f":{settings.listens_at}/"
    environment = settings.environment
    names = [name for name in (CONSOLE_VARIABLE, INGRESS_VARIABLE) if ours not in environment.get(name, ours)]
    if not names:
        return ""
    return (
        f"this environment sets {' and '.join(names)} to another Motion Server than ours: a relay that was "
        f"started with it talks to that one. {_advice_on_endpoints(settings)}"
    )


def _simulator_answers_on(port: int) -> bool:
    """Return whether another spatius-sim runs already and answers on this port of the machine: a mock Motion
    Server with its control interface."""
    try:
        with _directly.open(f"http://127.0.0.1:{port}/_sim/openapi.json", timeout=1) as answer:
            return "openapi" in json.load(answer)
    except (URLError, OSError, ValueError, TypeError):
        return False


def _installed_version(name: str) -> str:
    """Return the installed version of a Python package, for the doctor's finding on versions; "" if the
    package is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _python_sources(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the path and the text of each Python file of a project in which the doctor looks, of at most
    `_MAX_FILES` files.

    Leaves out installed packages, hidden folders, very large files, and files that cannot be read.
    """
    file_count = 0
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts
        if any(part in _FOREIGN_FOLDERS or part.startswith(".") for part in parts):
            continue
        file_count += 1
        if file_count > _MAX_FILES:
            return
        try:
            if path.stat().st_size <= _LARGEST_SOURCE:
                yield path.relative_to(folder), path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
