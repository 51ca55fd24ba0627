"""Names verdicts, exit codes and rule families in reports."""

from spatius_sim.reporting.summary import ExitCode
from spatius_sim.rules.findings import Verdict

VERDICTS = {
    Verdict.FAILED: ("bad", "✕", "failed", "The rule was broken."),
    Verdict.ERRORED: ("bad", "!", "errored", "The kit itself failed: this says nothing of the subject."),
    Verdict.INCONCLUSIVE: ("open", "?", "inconclusive", "The subject could not be judged."),
    Verdict.UNEXERCISED: ("open", "○", "not exercised", "No scenario triggered it: this is not a pass."),
    Verdict.PASSED: ("good", "✓", "passed", "It was exercised, and kept every time."),
    Verdict.NOT_APPLICABLE: (
        "none",
        "\N{EN DASH}",
        "not applicable",
        "The subject lacks what the rule is about.",
    ),
}
"""How reports show a verdict: tone, sign, words, and meaning. The gravest verdict comes first."""

HEADLINES = {
    ExitCode.PASSED: ("good", "✓", "Passed"),
    ExitCode.RULE_FAILED: ("bad", "✕", "Failed"),
    ExitCode.KIT_FAILED: ("bad", "!", "The kit failed"),
    ExitCode.NOT_EXERCISED: ("open", "○", "Not exercised"),
    ExitCode.UNREACHABLE: ("open", "?", "Inconclusive"),
    ExitCode.INTERRUPTED: ("open", "?", "Interrupted"),
    ExitCode.USAGE: ("open", "?", "Not run"),
}
"""How reports show an exit code: tone, sign, and headline."""

FAMILIES = {
    "U": "The relay, seen from Motion Server",
    "R": "The relay, seen from its client",
    "S": "Motion Server",
    "C": "The client decoder",
    "E": "The room of an egress, or of a relay",
}
"""The title of each family of rules, by the first letter of their ids."""
