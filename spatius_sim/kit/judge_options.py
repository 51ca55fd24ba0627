"""The options of the judge, once: `pytest` and `spatius-sim verify` both offer what stands here.

Nothing heavy is imported: pytest loads this in every project that has us installed.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JudgeOption:
    """One option: `--NAME` and `--spatius-NAME`, whose value `parse` reads. Without a default: None, or no
    value at all where it is `repeatable`."""

    name: str
    metavar: str
    help: str
    parse: type[str] | type[int] | type[float] = str
    repeatable: bool = False

    @property
    def field(self) -> str:
        """What pytest and click call its value."""
        return f"spatius_{self.name.replace('-', '_')}"


REPORT_FORMATS = {"json": "the verdicts, for machines"}
"""What `--report-NAME FILE` writes, by name."""

REPORT_OPTIONS = (
    JudgeOption("report-dir", "DIR", "write every report there, and the tapes of failures"),
    *(JudgeOption(f"report-{name}", "FILE", f"write {what}") for name, what in REPORT_FORMATS.items()),
)

JUDGE_OPTIONS = (
    JudgeOption("target", "URL", "judge the relay at this ws:// URL"),
    JudgeOption(
        "server",
        "URL",
        "judge the Motion Server at this http:// URL; one that is no mock: console=URL,ingress=URL, "
        "with SPATIUS_API_KEY, SPATIUS_APP_ID and SPATIUS_AVATAR_ID set",
    ),
    JudgeOption(
        "client",
        "COMMAND",
        "judge the client behind this testee: a command, or the ws:// address where it finds us",
    ),
    JudgeOption(
        "lacks",
        "FEATURE",
        "the subject lacks this, e.g. egress, interrupts, own-upstream: rules that need it do not apply "
        "(repeatable)",
        repeatable=True,
    ),
    JudgeOption("wire", "NAME", "the relay's wire (json-envelope)"),
    JudgeOption("motion-port", "PORT", "where our Motion Server listens (8700)", int),
    JudgeOption("wait", "SECONDS", "how long the subject may take to answer (10)", float),
    JudgeOption(
        "settle",
        "SECONDS",
        "how long without a sign of life before what is missing counts as missing (3)",
        float,
    ),
    JudgeOption(
        "level", "LEVEL", "judge the rules of this level and those that bind more: must, should, may"
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
    ),
    JudgeOption("seed", "N", "what every random choice comes from (1; nightly draws one)", int),
    JudgeOption("rule", "ID", "judge this rule only (exact; repeatable)", repeatable=True),
    JudgeOption("save-tape", "FILE", "record every run onto this tape"),
    *REPORT_OPTIONS,
)
