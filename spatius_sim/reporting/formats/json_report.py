"""Writes the report as JSON for machines, and reads it back. `report.schema.json` describes it."""

import json
from pathlib import Path

import msgspec

from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.report import FORMAT, VERSION, Report
from spatius_sim.reporting.summary import RuleOutcome

_LARGEST_FILE = 64 * 1_048_576
"""Bytes. A report in which every rule failed takes some 2 MiB."""


class _Head(msgspec.Struct):
    """The first fields of a report, which every version has."""

    format: str = ""
    version: int = 0


def outcome_to_json(outcome: RuleOutcome) -> str:
    """Write an outcome as JSON, to carry it from one process to another."""
    return msgspec.json.encode(outcome).decode()


def outcome_from_json(carried: str) -> RuleOutcome:
    """Read an outcome that another process has written."""
    return msgspec.json.decode(carried, type=RuleOutcome)


def json_report(report: Report) -> str:
    """Write the report as one JSON object; its `rules` are a list of `{id, verdict, ...}` over all
    subjects."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1).decode() + "\n"


def report_schema() -> str:
    """Return the JSON Schema of a report of this version, as `report.schema.json` holds it."""
    schema = msgspec.json.schema(Report) | {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    for described in schema["$defs"].values():
        described["description"] = " ".join(described.get("description", "").split())
    return json.dumps(schema, indent=1) + "\n"


def read_report(path: Path) -> Report:
    """Read the report in this file. Raises UsageError, which names the file, if it is no report or one of
    another version."""
    try:
        with path.open("rb") as file:
            written = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if len(written) > _LARGEST_FILE:
        raise UsageError(f"{path} is larger than {_LARGEST_FILE:,} bytes: no report is")
    try:
        head = msgspec.json.decode(written, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is no report of spatius-sim: {error}") from error
    if head.format != FORMAT:
        raise UsageError(f"{path} is no report of spatius-sim: its format is not {FORMAT!r}")
    if head.version != VERSION:
        raise UsageError(
            f"{path} is a report of version {head.version}; this spatius-sim reads version {VERSION}"
        )
    try:
        return msgspec.json.decode(written, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is a damaged report: {error}") from error
