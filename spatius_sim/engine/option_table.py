"""The table of the judge's options, for `pytest`, `spatius-sim verify` and conformance.yaml alike.

Nothing heavy is imported: pytest loads this in every project that has us installed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from spatius_sim.protocol.errors import UsageError
from spatius_sim.trace.secrets_in_settings_and_urls import url_without_secrets


@dataclass(frozen=True, slots=True)
class JudgeOption:
    """One option: `--NAME` and `--spatius-NAME`, whose value `parse` reads. No option has a default here.

    In conformance.yaml the option is the key NAME, unless it is `of_one_run`. A `repeatable` option is a list
    there, or a mapping if its metavar is such as NAME=VALUE. A path starts in the folder of the file; an
    option is a path if its metavar is FILE or DIR, or if it is NAME|FILE and the value ends in .yaml.

    An option that `bool` parses is a flag: no value on the command line, true or false in the file.
    `needed_to_repeat`: whether a command that runs the scenarios of one rule again needs the option.
    """

    name: str
    metavar: str
    help: str
    parse: type[str] | type[int] | type[float] | type[bool] = str
    repeatable: bool = False
    choices: tuple[str, ...] = ()
    of_one_run: bool = False
    needed_to_repeat: bool = True

    @property
    def field(self) -> str:
        """The name under which pytest and click keep the value of the option."""
        return f"spatius_{self.name.replace('-', '_')}"


REPORT_FORMATS = {
    "html": "a page for people, which opens offline",
    "json": "everything, for machines",
    "junit": "a JUnit test case for each rule",
    "markdown": "a job summary",
    "badge": "a badge for shields.io",
}
"""What `--report-NAME FILE` writes, by name."""

REPORT_OPTIONS = (
    JudgeOption(
        "report-dir", "DIR", "write every report there, and the tapes of failures", needed_to_repeat=False
    ),
    *(
        JudgeOption(f"report-{name}", "FILE", f"write {description}", needed_to_repeat=False)
        for name, description in REPORT_FORMATS.items()
    ),
)

DEFAULT_MOTION_PORT = 8700
"""The port at which our Motion Server listens if no other is named, whichever command starts it."""

JUDGE_OPTIONS = (
    JudgeOption(
        "target",
        "URL",
        "judge the relay at this ws:// URL; packets:NAME or streams:NAME is one that publishes by itself in "
        "this room of --room, with --wire in data packets or byte streams",
    ),
    JudgeOption(
        "target-cmd",
        "COMMAND",
        "start the relay by this command, and end it; {port} in it and in --target is a free port",
    ),
    JudgeOption(
        "target-env",
        "NAME=VALUE",
        "a variable for its process; {console}, {ingress}, {api_key}, {app_id}, {avatar_id} and {port} are "
        "filled in (repeatable)",
        repeatable=True,
    ),
    JudgeOption(
        "target-header",
        "NAME: VALUE",
        "a header that the relay wants of its clients (repeatable)",
        repeatable=True,
    ),
    JudgeOption(
        "target-subprotocol", "NAME", "a WebSocket subprotocol that it wants (repeatable)", repeatable=True
    ),
    JudgeOption("target-ca", "FILE", "the certificates by which a wss:// target is trusted (PEM)"),
    JudgeOption(
        "server",
        "URL",
        "judge the Motion Server at this http:// URL; one that is not a mock: console=URL,ingress=URL, "
        "with SPATIUS_API_KEY, SPATIUS_APP_ID and SPATIUS_AVATAR_ID set",
    ),
    JudgeOption(
        "room",
        "URL",
        "the LiveKit server at this ws:// URL, in whose rooms a server, an agent or a relay is judged; key "
        "and secret stand in LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or in the URL (ws://KEY:SECRET@HOST)",
    ),
    JudgeOption(
        "agent-cmd",
        "COMMAND",
        "judge the LiveKit agent that this command starts, together with our Motion Server, in a room of "
        "--room (LIVEKIT_URL)",
    ),
    JudgeOption(
        "client",
        "COMMAND",
        "judge the client behind this testee: a command, or the ws:// address where it finds us",
    ),
    JudgeOption(
        "lacks",
        "FEATURE",
        "the subject lacks this, e.g. egress, interrupts, own-upstream, or upstream (it talks to another "
        "Motion Server than ours): rules that need it do not apply (repeatable)",
        repeatable=True,
    ),
    JudgeOption(
        "wire",
        "NAME|FILE",
        "the relay's wire, as `spatius-sim wire list` names it, or a file that declares it; found out "
        "if it is not named",
    ),
    JudgeOption(
        "turn",
        "HOW",
        "how a turn is started: client-audio (the default), clip:NAME, text:WORDS, http:URL, or hook "
        "(pytest_spatius_start_turn in a conftest.py)",
    ),
    JudgeOption("motion-port", "PORT", f"where our Motion Server listens ({DEFAULT_MOTION_PORT})", int),
    JudgeOption(
        "motion-host", "ADDRESS", "the address at which it listens (127.0.0.1); 0.0.0.0: every address"
    ),
    JudgeOption("wait", "SECONDS", "how long the subject may take to answer (10)", float),
    JudgeOption(
        "settle",
        "SECONDS",
        "how long without a sign of life before what is missing counts as missing (3)",
        float,
    ),
    JudgeOption(
        "fallback-wait",
        "SECONDS",
        "how long the relay may take to fall back to audio alone when Motion Server fails (15)",
        float,
    ),
    JudgeOption(
        "level",
        "LEVEL",
        "judge the rules of this level and those that bind more: must, should, may",
        needed_to_repeat=False,
    ),
    JudgeOption(
        "profile",
        "NAME",
        "smoke takes seconds; ci (the default) exercises every MUST; nightly every rule over many more "
        "scenarios, from a seed of its own",
    ),
    JudgeOption(
        "time-budget",
        "SECONDS",
        "begin no scenario later than that; what is not reached is UNEXERCISED",
        float,
        needed_to_repeat=False,
    ),
    JudgeOption(
        "seed", "N", "what every random choice comes from (1; nightly draws one)", int, needed_to_repeat=False
    ),
    JudgeOption(
        "rule",
        "ID",
        "judge this rule only (exact; repeatable)",
        repeatable=True,
        of_one_run=True,
        needed_to_repeat=False,
    ),
    JudgeOption(
        "plan",
        "TOKEN|TAPE",
        "run this scenario alone: that of the tape of a failure, or of a token; goes with one --rule",
        of_one_run=True,
        needed_to_repeat=False,
    ),
    JudgeOption("save-tape", "FILE", "record every run onto this tape", needed_to_repeat=False),
    *REPORT_OPTIONS,
    JudgeOption(
        "baseline",
        "FILE",
        "known failures: new ones fail the run, and so does an entry that is out of date",
        needed_to_repeat=False,
    ),
    JudgeOption(
        "update-baseline",
        "",
        "bring the baseline up to date with this run, which must be a whole one",
        bool,
        of_one_run=True,
        needed_to_repeat=False,
    ),
    JudgeOption(
        "conformance",
        "FILE",
        "what this run does not say stands in this file (conformance.yaml in the working directory)",
        of_one_run=True,
        needed_to_repeat=False,
    ),
)

OPTION_GROUP = (
    "spatius-sim",
    "conformance of Spatius relays and Motion Servers; --NAME means --spatius-NAME, unless others own it",
)
"""The name and the title of the options in pytest."""

TARGET_VARIABLE = "SPATIUS_TARGET"
"""The variable of the environment that names a relay if nothing else names a subject."""

HOOK_START = "hook"
"""The value of `--turn` by which a conftest.py starts the turns."""

CONFORMANCE_FILE = "conformance.yaml"
"""The file that is read if no other is named."""

_NOT_OF_A_RELAY = {"target", "server", "client", "agent-cmd", "lacks", "profile"}
RELAY_OPTIONS = tuple(
    option for option in JUDGE_OPTIONS if option.needed_to_repeat and option.name not in _NOT_OF_A_RELAY
)
"""The options that say how a relay is reached and spoken to."""

KIND_BY_SUBJECT_OPTION = {"target": "relay", "server": "server", "client": "client", "agent-cmd": "room"}
"""The kind of subject, which is also its suite, for each option that names a subject. A server in a room is
of the kind `room`."""


def subject_kind_of_option(option: str, values: Mapping[str, Any]) -> str:
    """Return the kind of the subject that this option names. A server is of the kind `room` if `values`, the
    options of the run by name, have a room."""
    return "room" if option == "server" and values.get("room") else KIND_BY_SUBJECT_OPTION[option]


def find_subject_kind(values: Mapping[str, Any]) -> str:
    """Return the kind of the subject (`relay`, `server`, `client` or `room`) that the options of a run name;
    "" if they name no subject. `values` holds the value of each option by its name.

    Raises UsageError if the options name several subjects."""
    kinds = [subject_kind_of_option(name, values) for name in KIND_BY_SUBJECT_OPTION if values.get(name)]
    if len(kinds) > 1:
        subject_options = "--target, --server, --client and --agent-cmd"
        raise UsageError(f"{subject_options} name several subjects: judge one in a run")
    return kinds[0] if kinds else ""


def refuse_empty_values(values: Mapping[str, Any]) -> None:
    """Raise UsageError if an option has an empty text as its value, or as an item of its list. Nobody means
    that: the text often comes from a variable that is not set. The keys of `values` are the options as the
    user types them, such as `--target`."""
    for shown_name, value in values.items():
        items: Iterable[Any] = value if isinstance(value, list | tuple) else (value,)
        if any(isinstance(item, str) and not item.strip() for item in items):
            raise UsageError(f"{shown_name} is empty: say a value, or leave it out (is a variable not set?)")


def values_given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that have a value. 0 is a value; None, False, "" and an empty list are not."""
    return {name: value for name, value in values.items() if value or (value == 0 and value is not False)}


def options_as_arguments(values: Mapping[str, Any]) -> list[str]:
    """Return options, given by name, as command-line arguments: `--NAME=VALUE`, once for each item of a list.
    An option that is True becomes `--NAME`; False and None are left out."""
    arguments: list[str] = []
    for name, value in values.items():
        items: Iterable[Any] = value if isinstance(value, list | tuple) else (value,)
        if value is True:
            arguments.append(f"--{name}")
        elif value is not False:
            arguments += [f"--{name}={item}" for item in items if item is not None]
    return arguments


def check_url(option: str, url: str, schemes: tuple[str, ...], hint: str = "") -> None:
    """Raise UsageError if `url`, the value of this option of the table, is not a URL with one of these
    schemes (such as `ws`). "" is allowed. The text of the error ends with `hint`."""
    if not url:
        return
    try:
        url_parts = urlsplit(url)
        is_usable = url_parts.scheme in schemes and bool(url_parts.hostname) and url_parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        allowed = " or ".join(f"{scheme}://" for scheme in schemes)
        raise UsageError(
            f"{option} {url_without_secrets(url)!r}: a URL that begins with {allowed} is needed{hint}"
        )
