"""Why nothing comes, and what to do about it."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from spatius_sim.cli.diagnosis import RelayDiagnosis
from spatius_sim.engine.settings import Settings
from spatius_sim.protocol.console import CONSOLE_ROOT, INGRESS_ROOT

_PACKAGES = ("spatius-sim", "spatius", "avatarkit", "websockets")
_USES_THE_SDK = re.compile(r"^\s*(?:import|from)\s+(?:spatius|avatarkit)\b", re.MULTILINE)
_SILENCES_IT = re.compile(r"configure_telemetry\(\s*(['\"])\1\s*\)")
_NOT_THEIRS = {"node_modules", "site-packages", "__pycache__"}
_MOST_FILES = 2000
_WEBSOCKETS_WITH_BODIES = 14
_WIRE_ADVICE = (
    "declare your wire in a YAML file (`spatius-sim wire show`, `wire try`), and name it: --wire ours.yaml"
)
_LARGEST_SOURCE = 1_048_576


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is well, and what to do if it is not."""

    well: bool
    what: str
    advice: str = ""


def relay_findings(diagnosis: RelayDiagnosis, settings: Settings) -> Iterator[Finding]:
    """The way of a turn from the client to Motion Server and back, up to where it ends."""
    if diagnosis.unreachable:
        yield Finding(False, diagnosis.unreachable, _unreachable_advice(diagnosis.unreachable))
        return
    yield Finding(True, "it takes our connection")
    if diagnosis.garbage and not diagnosis.understood:
        what = f"it speaks another wire than {diagnosis.wire}: {diagnosis.first_garbage}"
        yield Finding(False, what, _WIRE_ADVICE)
        return
    if diagnosis.garbage:
        count, first = diagnosis.garbage, diagnosis.first_garbage
        what = f"{count} of its messages are none on the wire {diagnosis.wire}: {first}"
        yield Finding(False, what, _WIRE_ADVICE)
    elif diagnosis.understood:
        yield Finding(True, f"it speaks {diagnosis.wire}" + (", and greets" if diagnosis.greets else ""))
    yield from _upstream_findings(diagnosis, _how_to_point_here(settings))


def _upstream_findings(diagnosis: RelayDiagnosis, pointing_here: str) -> Iterator[Finding]:
    """Say how far the relay came on its way to Motion Server; stop at the first step that failed."""
    seen = f": {diagnosis.seen}" if diagnosis.seen else ""
    if not diagnosis.asked_for_token and not diagnosis.reached_us and not diagnosis.refused:
        if diagnosis.closed:
            what = f"it hung up with code {diagnosis.closed}, and never came to our Motion Server"
            yield Finding(
                False, what, "its own output says why: a variable that is not set, an error at start"
            )
            return
        own_log = "" if seen else ". Its own log may say more: is SPATIUS_API_KEY set?"
        yield Finding(False, f"it never came to our Motion Server{seen}", pointing_here + own_log)
        return
    if diagnosis.asked_for_token and diagnosis.token_status not in (0, 200):
        advice = "look at SPATIUS_API_KEY, and at expireAt: a unix time within the next 24 h"
        yield Finding(False, f"its token request was refused with HTTP {diagnosis.token_status}", advice)
        return
    if diagnosis.refused:
        advice = "look at the session token, SPATIUS_APP_ID and SPATIUS_AVATAR_ID that it connects with"
        yield Finding(False, f"Motion Server refused its session: {diagnosis.refused}", advice)
        return
    if not diagnosis.reached_us:
        advice = f"its console endpoint is ours, its ingress endpoint may be another: {pointing_here}"
        yield Finding(False, f"it fetched a session token, and opened no session here{seen}", advice)
        return
    yield Finding(True, "it opens sessions on our Motion Server")
    if not diagnosis.spoke_up:
        advice = "the client spoke and ended its turn: look at what the relay does with a client's audio"
        yield Finding(False, f"no audio went up{seen}", advice)
        return
    yield Finding(True, "audio goes up")
    if not diagnosis.motion_down:
        advice = (
            "look at the callback that takes Motion Server's frames (transport_frames), and at what follows"
        )
        yield Finding(False, f"no motion came down to the client{seen}", advice)
        return
    yield Finding(True, "motion comes down")


def last_words(answers: RelayDiagnosis) -> str:
    """What the relay's process wrote last, if that is not told yet; "" for nothing."""
    told = answers.last_output in answers.unreachable
    return "" if told else f"its last output: {answers.last_output}"


def port_finding(port: int, fault: str) -> Finding:
    """What a port means that we cannot listen on."""
    if _is_a_simulator(port):
        what = f"port {port} is taken by a spatius-sim that runs already"
        return Finding(False, what, "end it, or take another port: --motion-port")
    return Finding(False, fault, f"find it with `lsof -i :{port}`, or take another port: --motion-port")


def version_findings() -> Iterator[Finding]:
    """What is installed beside us. The relay may run with other versions."""
    found = {name: _version(name) for name in _PACKAGES}
    told = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    python = ".".join(map(str, sys.version_info[:3]))
    websockets = int((found["websockets"] or "14").split(".")[0])
    if found["spatius"] and websockets < _WEBSOCKETS_WITH_BODIES:
        advice = (
            "pip install 'websockets>=14': older ones hide from the Server SDK why an upgrade was refused"
        )
        yield Finding(False, f"Python {python}, {told}", advice)
    else:
        yield Finding(True, f"Python {python}, {told}")


def telemetry_finding(folder: Path) -> Finding | None:
    """Whether the Python sources in a folder use the Server SDK and leave its telemetry on; None if they
    do not use it."""
    using = [path for path, text in _python_sources(folder) if _USES_THE_SDK.search(text)]
    if not using:
        return None
    if any(_SILENCES_IT.search(text) for _, text in _python_sources(folder)):
        return Finding(True, "the Server SDK's telemetry is off")
    return Finding(
        False,
        f"{using[0]} uses the Server SDK, which reports to a fixed address on the internet",
        'call spatius.configure_telemetry("") when you start, in tests at least',
    )


def _unreachable_advice(told: str) -> str:
    """Return the advice for a relay that could not be reached, by the words of its error."""
    if "HTTP 404" in told:
        return "the path is another one: json-envelope relays serve /ws/agent"
    if "HTTP 401" in told or "HTTP 403" in told:
        return (
            "it wants a login (--target-header 'Authorization: ...', --target-subprotocol), or another path"
        )
    if "ended with code" in told:
        return "start it by hand with the same command, and mend what it says"
    if "another wire" in told or "was not found out" in told:
        return _WIRE_ADVICE
    if "certificate" in told.lower():
        return "name the certificate that it is trusted by: --target-ca"
    return "is it running, and on that port? --target-cmd lets us start it ourselves"


def _how_to_point_here(settings: Settings) -> str:
    """How the relay is pointed at us."""
    if settings.attachment.command:
        return (
            "we set SPATIUS_CONSOLE_ENDPOINT and SPATIUS_INGRESS_ENDPOINT for its process; if it reads other "
            "variables: target-env, such as MOTION_URL={ingress}"
        )
    at = f"127.0.0.1:{settings.listens_at}"
    return (
        f"start it with SPATIUS_CONSOLE_ENDPOINT=http://{at}{CONSOLE_ROOT} and "
        f"SPATIUS_INGRESS_ENDPOINT=ws://{at}{INGRESS_ROOT}, and look whether it reads them (a .env file may "
        "win). In a container, 127.0.0.1 is the container itself: share the network of the host"
    )


def _is_a_simulator(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/_sim/openapi.json", timeout=1) as answer:
            return "openapi" in json.load(answer)
    except (URLError, OSError, ValueError, TypeError):
        return False


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _python_sources(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the path and text of each Python file of the project, at most `_MOST_FILES`."""
    looked_at = 0
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts
        if any(part in _NOT_THEIRS or part.startswith(".") for part in parts):
            continue
        looked_at += 1
        if looked_at > _MOST_FILES:
            return
        try:
            if path.stat().st_size <= _LARGEST_SOURCE:
                yield path.relative_to(folder), path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
