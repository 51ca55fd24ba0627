"""Writes the report as JSON for machines, and reads it back. `report.schema.json` describes it."""

import json
from pathlib import Path

import msgspec

from spatius_sim.files.open_named_file import open_named_file
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.report import FORMAT, VERSION, Report
from spatius_sim.reporting.summary import RuleOutcome

_MAX_FILE_BYTES = 64 * 1_048_576
"""Bytes. A report in which every rule failed takes some 2 MiB."""


class _Head(msgspec.Struct):
    """The first fields of a report, which every version has."""

    format: str = ""
    version: int = 0


def outcome_to_json(outcome: RuleOutcome) -> str:
    """Return the outcome of a rule as JSON, to be passed to another process."""
    return msgspec.json.encode(outcome).decode()


def outcome_from_json(text: str) -> RuleOutcome:
    """Return the outcome of a rule that another process wrote as this JSON."""
    return msgspec.json.decode(text, type=RuleOutcome)


def json_report(report: Report) -> str:
    """Return the report as one JSON object. The list `rules` in it has the rules of all subjects."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1).decode() + "\n"


def report_schema() -> str:
    """Return the JSON Schema of the report that this version of spatius-sim writes as JSON; it is the text of
    `report.schema.json`."""
    schema = msgspec.json.schema(Report) | {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    for definition in schema["$defs"].values():
        definition["description"] = " ".join(definition.get("description", "").split())
    return json.dumps(schema, indent=1) + "\n"


def read_report(path: Path) -> Report:
    """Read the report in this JSON file and return it. Raises UsageError, with the path in its text, if the
    file cannot be read, is too large, or is no report of this version."""
    try:
        with open_named_file(path) as file:
            raw_json = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if len(raw_json) > _MAX_FILE_BYTES:
        raise UsageError(f"{path} is larger than {_MAX_FILE_BYTES:,} bytes: no report is")
    try:
        head = msgspec.json.decode(raw_json, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not a report of spatius-sim: {error}") from error
    if head.format != FORMAT:
        raise UsageError(f"{path} is not a report of spatius-sim: its format is not {FORMAT!r}")
    if head.version != VERSION:
        raise UsageError(
            f"{path} is a report of version {head.version}; this spatius-sim reads version {VERSION}"
        )
    try:
        return msgspec.json.decode(raw_json, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is a damaged report: {error}") from error
