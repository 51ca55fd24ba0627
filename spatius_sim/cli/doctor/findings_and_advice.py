"""The doctor's findings and advice: why nothing comes from a relay, in words, and what to do about it."""

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
from spatius_sim.protocol.environment_variables import (
    CONSOLE_VARIABLE,
    INGRESS_VARIABLE,
    find_proxy_variables,
)

_PACKAGES = ("spatius-sim", "spatius", "avatarkit", "websockets")
_USES_THE_SDK = re.compile(r"^\s*(?:import|from)\s+(?:spatius|avatarkit)\b", re.MULTILINE)
_SWITCHES_TELEMETRY_OFF = re.compile(r"configure_telemetry\(\s*(['\"])\1\s*\)")
_FOREIGN_FOLDERS = {"node_modules", "site-packages", "__pycache__"}
_MAX_FILE_COUNT = 2000
_WEBSOCKETS_VERSION_WITH_BODIES = 14
_WIRE_ADVICE = (
    "declare your wire in a YAML file (`spatius-sim wire show`, `wire try`), and name it: --wire ours.yaml"
)
_NO_RELAY_JOINED_TEXT = "nobody but the kit came to the room"
_ROOM_JOINED_TEXT = "the LiveKit server takes our token, and lets us into the room"
_EXPIRY_TEXT = "a unix time in seconds, within the next 24 h"
_LARGEST_SOURCE_BYTES = 1_048_576
_opener_without_proxy = build_opener(
    ProxyHandler({})
)  # The proxy of the environment has nothing to do with 127.0.0.1.


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked: whether it is right, what was seen, and what to do if it is not right."""

    is_ok: bool
    observation: str
    advice: str = ""


def relay_findings(diagnosis: RelayDiagnosis, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each step of the turn that the diagnosis describes: was the relay reached, does it
    speak this wire (message format), did audio reach Motion Server, did motion come back? A step that makes
    the next one pointless ends the list."""
    if diagnosis.unreachable:
        if _NO_RELAY_JOINED_TEXT in diagnosis.unreachable:
            yield Finding(True, _ROOM_JOINED_TEXT)
        yield Finding(False, diagnosis.unreachable, _advice_on_unreachable_relay(diagnosis.unreachable))
        return
    if settings.room_target:
        yield Finding(True, _ROOM_JOINED_TEXT)
        yield Finding(True, f"the relay is in the room {settings.room_target[1]!r}")
    else:
        yield Finding(True, "it takes our connection")
    if diagnosis.garbage_count and not diagnosis.understood_count:
        observation = f"it speaks another wire than {diagnosis.wire}: {diagnosis.first_garbage}"
        yield Finding(False, observation, _WIRE_ADVICE)
        return
    if diagnosis.garbage_count:
        count, first = diagnosis.garbage_count, diagnosis.first_garbage
        observation = f"{count} of its messages are none on the wire {diagnosis.wire}: {first}"
        yield Finding(False, observation, _WIRE_ADVICE)
    elif diagnosis.understood_count:
        yield Finding(True, f"it speaks {diagnosis.wire}" + (", and greets" if diagnosis.greets else ""))
    endpoint_advice = (
        _advice_on_proxies(settings) or _advice_on_other_endpoints(settings) or _advice_on_endpoints(settings)
    )
    yield from _upstream_findings(diagnosis, endpoint_advice)


def _upstream_findings(diagnosis: RelayDiagnosis, endpoint_advice: str) -> Iterator[Finding]:
    """Yield a finding for each step from the relay to Motion Server and back to the client. The first step
    that failed ends the list.

    `endpoint_advice` says how to point the relay at our Motion Server."""
    trouble = f": {diagnosis.first_trouble}" if diagnosis.first_trouble else ""
    if not diagnosis.asked_for_token and not diagnosis.opened_session and not diagnosis.refusal:
        if diagnosis.unknown_path:
            observation = (
                f"our Motion Server was asked {diagnosis.unknown_path}, a path that it does not have"
            )
            yield Finding(False, observation, f"an endpoint has another path than ours: {endpoint_advice}")
            return
        if diagnosis.close_code:
            observation = f"it hung up with code {diagnosis.close_code}, and never came to our Motion Server"
            yield Finding(
                False, observation, "its own output says why: a variable that is not set, an error at start"
            )
            return
        own_log = "" if trouble else ". Its own log may say more: is SPATIUS_API_KEY set?"
        yield Finding(False, f"it never came to our Motion Server{trouble}", endpoint_advice + own_log)
        return
    if diagnosis.asked_for_token and diagnosis.token_status not in (0, 200):
        yield _refused_token_finding(diagnosis)
        return
    if diagnosis.refusal:
        advice = "look at the session token, SPATIUS_APP_ID and SPATIUS_AVATAR_ID that it connects with"
        yield Finding(False, f"Motion Server refused its session: {diagnosis.refusal}", advice)
        return
    if not diagnosis.opened_session:
        advice = f"its console endpoint is ours, its ingress endpoint may be another: {endpoint_advice}"
        yield Finding(False, f"it fetched a session token, and opened no session here{trouble}", advice)
        return
    yield Finding(True, "it opens sessions on our Motion Server")
    if not diagnosis.sent_audio_up:
        advice = "the client spoke and ended its turn: look at what the relay does with a client's audio"
        yield Finding(False, f"no audio went up{trouble}", advice)
        return
    yield Finding(True, "audio goes up")
    if diagnosis.turn_option:
        yield Finding(True, f"a turn is started by --turn {shlex.quote(diagnosis.turn_option)}")
    if not diagnosis.sent_motion_down:
        advice = (
            "look at the callback that takes Motion Server's frames (transport_frames), and at what follows"
        )
        yield Finding(False, f"no motion came down to the client{trouble}", advice)
        return
    yield Finding(True, "motion comes down")


def _refused_token_finding(diagnosis: RelayDiagnosis) -> Finding:
    """Return the finding that the relay's token request was refused. If the token would have expired in the
    past or too late, the advice is about the relay's clock; otherwise it is about the API key."""
    observation = f"its token request was refused with HTTP {diagnosis.token_status}"
    life_seconds = diagnosis.token_life_seconds
    if life_seconds is None or 0 < life_seconds < MAX_TOKEN_LIFE_SECONDS:
        return Finding(False, observation, f"look at SPATIUS_API_KEY, and at expireAt: {_EXPIRY_TEXT}")
    expiry = (
        f"{-life_seconds:.0f} s in the past" if life_seconds <= 0 else f"{life_seconds / 3600:.0f} h ahead"
    )
    advice = f"expireAt is {_EXPIRY_TEXT}: is the clock of the relay's machine right?"
    return Finding(False, f"{observation}: by our clock, its expireAt lies {expiry}", advice)


def last_output_line(diagnosis: RelayDiagnosis) -> str:
    """Return a line with the last output of the relay's process; "" if there is none, or if the diagnosis
    already shows it."""
    is_shown = diagnosis.last_output in diagnosis.unreachable
    return "" if is_shown else f"its last output: {diagnosis.last_output}"


def port_finding(port: int, fault: str) -> Finding:
    """Return the finding that our Motion Server cannot listen on this port. `fault` is the error message. If
    another spatius-sim answers on the port, the finding says this instead."""
    if _simulator_answers_on(port):
        observation = f"port {port} is taken by a spatius-sim that runs already"
        return Finding(False, observation, "end it, or take another port: --motion-port")
    return Finding(False, fault, f"find it with `lsof -i :{port}`, or take another port: --motion-port")


def version_findings() -> Iterator[Finding]:
    """Yield one finding: which versions of Python and of related packages are installed here. They are not
    right if the Server SDK is installed with websockets older than 14."""
    version_by_package = {name: _installed_version(name) for name in _PACKAGES}
    installed = ", ".join(f"{name} {number}" for name, number in version_by_package.items() if number)
    python = ".".join(map(str, sys.version_info[:3]))
    websockets = int((version_by_package["websockets"] or "14").split(".")[0])
    if version_by_package["spatius"] and websockets < _WEBSOCKETS_VERSION_WITH_BODIES:
        advice = (
            "pip install 'websockets>=14': older ones hide from the Server SDK why an upgrade was refused"
        )
        yield Finding(False, f"Python {python}, {installed}", advice)
    else:
        yield Finding(True, f"Python {python}, {installed}")


def telemetry_finding(folder: Path) -> Finding | None:
    """Return a finding on the Python files in this folder: does one of them switch off the telemetry of the
    Server SDK? None if they do not use the Server SDK."""
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


def _advice_on_unreachable_relay(error: str) -> str:
    """Return the doctor's advice on a relay that could not be reached, or that did not join its room, chosen
    by the words of this error message."""
    if _NO_RELAY_JOINED_TEXT in error:
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
    """Return the doctor's advice on how to point the relay at our mock Motion Server: by our options if we
    start the relay, otherwise by its environment variables."""
    if settings.relay_start.command:
        return (
            "we set SPATIUS_CONSOLE_ENDPOINT and SPATIUS_INGRESS_ENDPOINT for its process; if it reads other "
            "variables: target-env, such as MOTION_URL={ingress}"
        )
    our_address = f"127.0.0.1:{settings.motion_server_port}"
    return (
        f"start it with SPATIUS_CONSOLE_ENDPOINT=http://{our_address}{CONSOLE_ROOT} and "
        f"SPATIUS_INGRESS_ENDPOINT=ws://{our_address}{INGRESS_ROOT}, and look whether it reads them (a .env "
        "file may win). In a container, 127.0.0.1 is the container itself: share the network of the host"
    )


def _advice_on_proxies(settings: Settings) -> str:
    """Return the doctor's advice on HTTP proxies: environment variables of this command name some, and a
    relay must not use them to reach our Motion Server. Return "" if none is named, or if we start the relay
    ourselves."""
    variable_names = [] if settings.relay_start.command else find_proxy_variables(settings.environment)
    if not variable_names:
        return ""
    names = ", ".join(variable_names)
    return (
        f"{names} is set here: if it is set for the relay too, its calls of 127.0.0.1 go to that "
        "proxy. Start it with NO_PROXY=127.0.0.1,localhost. If that is done: "
        f"{_advice_on_endpoints(settings)}"
    )


def _advice_on_other_endpoints(settings: Settings) -> str:
    """Return the doctor's advice on environment variables that point a relay at another Motion Server than
    our mock. Return "" if there are none, or if we start the relay ourselves."""
    if settings.relay_start.command:
        return ""
    our_port = f":{settings.motion_server_port}/"
    variable_names = [
        name
        for name in (CONSOLE_VARIABLE, INGRESS_VARIABLE)
        if our_port not in settings.environment.get(name, our_port)
    ]
    if not variable_names:
        return ""
    names = " and ".join(variable_names)
    return (
        f"this environment sets {names} to another Motion Server than ours: a relay that was "
        f"started with it talks to that one. {_advice_on_endpoints(settings)}"
    )


def _simulator_answers_on(port: int) -> bool:
    """Return whether another spatius-sim runs on this machine and answers on this port with its control
    interface."""
    try:
        with _opener_without_proxy.open(f"http://127.0.0.1:{port}/_sim/openapi.json", timeout=1) as answer:
            return "openapi" in json.load(answer)
    except (URLError, OSError, ValueError, TypeError):
        return False


def _installed_version(package_name: str) -> str:
    """Return, for the finding on versions, the version in which this Python package is installed; "" if it is
    not installed."""
    try:
        return version(package_name)
    except PackageNotFoundError:
        return ""


def _python_sources(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield, for the finding on telemetry, the path, relative to this folder, and the text of each Python
    file in the folder.

    Leave out installed packages, hidden folders, very large files, and files that cannot be read. Look at no
    more than _MAX_FILE_COUNT files."""
    file_count = 0
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts
        if any(part in _FOREIGN_FOLDERS or part.startswith(".") for part in parts):
            continue
        file_count += 1
        if file_count > _MAX_FILE_COUNT:
            return
        try:
            if path.stat().st_size <= _LARGEST_SOURCE_BYTES:
                yield path.relative_to(folder), path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
