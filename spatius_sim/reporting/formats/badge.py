"""Writes the report as a badge: an endpoint of shields.io is a small JSON file."""

import json

from spatius_sim.reporting.report import Report
from spatius_sim.reporting.summary import ExitCode
from spatius_sim.reporting.verdict_labels import HEADLINES
from spatius_sim.rules.findings import Verdict

_COLOURS = {"good": "brightgreen", "bad": "red", "open": "yellow"}

_LEFT_OPEN = (Verdict.UNEXERCISED, Verdict.INCONCLUSIVE)


def badge(report: Report) -> str:
    """Return the badge of a report: the JSON that shields.io draws
    (https://shields.io/badges/endpoint-badge)."""
    tone, _, headline = HEADLINES[report.exit_code]
    passed = sum(judged.verdict is Verdict.PASSED for judged in report.rules)
    counts = f"{passed} of {len(report.rules)} rules"
    profiles = dict.fromkeys(subject.profile for subject in report.subjects if subject.profile)
    counts += "".join(f", {profile}" for profile in profiles)
    if any(judged.verdict in _LEFT_OPEN for judged in report.rules):
        tone = "open" if tone == "good" else tone  # What was not exercised is not green.
    message = counts if report.exit_code is ExitCode.PASSED else f"{headline.lower()}, {counts}"
    endpoint = {
        "schemaVersion": 1,
        "label": "spatius conformance",
        "message": message,
        "color": _COLOURS[tone],
    }
    return json.dumps(endpoint) + "\n"
