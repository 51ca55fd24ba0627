"""Writes the report as a badge: an endpoint of shields.io is a small JSON file."""

import json

from spatius_sim.reporting.report import Report
from spatius_sim.reporting.summary import ExitCode
from spatius_sim.reporting.verdict_labels import HEADLINES
from spatius_sim.rules.findings import Verdict

_COLOURS = {"good": "brightgreen", "bad": "red", "open": "yellow"}

_LEFT_OPEN = (Verdict.UNEXERCISED, Verdict.INCONCLUSIVE)


def badge_json(report: Report) -> str:
    """Return the badge of a report as JSON that shields.io draws (https://shields.io/badges/endpoint-badge).
    It tells how many rules passed, for which profiles, and, if the run is not a pass, the verdict. The badge
    is green only if every rule was decided."""
    tone, _, headline = HEADLINES[report.exit_code]
    passed_count = sum(rule.verdict is Verdict.PASSED for rule in report.rules)
    counts = f"{passed_count} of {len(report.rules)} rules"
    profiles = dict.fromkeys(subject.profile for subject in report.subjects if subject.profile)
    counts += "".join(f", {profile}" for profile in profiles)
    if any(rule.verdict in _LEFT_OPEN for rule in report.rules):
        tone = "open" if tone == "good" else tone  # "open" is drawn yellow, not green.
    message = counts if report.exit_code is ExitCode.PASSED else f"{headline.lower()}, {counts}"
    endpoint = {
        "schemaVersion": 1,
        "label": "spatius conformance",
        "message": message,
        "color": _COLOURS[tone],
    }
    return json.dumps(endpoint) + "\n"
