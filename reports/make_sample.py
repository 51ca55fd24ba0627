"""Makes reports/sample.html again, and the JSON Schema of reports: `python reports/make_sample.py`.

The sample is what a relay gets that swaps payloads and never marks the end of the audio.
"""

import sys
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from spatius_sim.miniatures.relay.wrong_relays import NeverMarksAudioEnd, SwapsPayloads
from spatius_sim.reporting.formats.html_report import html_report
from spatius_sim.reporting.formats.json_report import report_schema
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.rules.rule import Level
from spatius_sim.tests.reporting.judged import report_of_relay


class _WrongInTwoWays(SwapsPayloads, NeverMarksAudioEnd):
    pass


if __name__ == "__main__":
    sample = Path(__file__).with_name("sample.html")
    required = [rule.id for rule in rules_for("relay") if rule.level is Level.MUST]
    with TemporaryDirectory() as folder:
        report = report_of_relay(_WrongInTwoWays, required, Path(folder), shrink_seconds=5.0)
        sample.write_text(html_report(report, Path(folder)), encoding="utf-8")
    schema = Path(str(files("spatius_sim.reporting"))) / "report.schema.json"
    schema.write_text(report_schema(), encoding="utf-8")
    sys.stdout.write(f"{sample}\n{schema}\n")
