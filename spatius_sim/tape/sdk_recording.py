"""Reads recordings in the shape that the SDK's HTTP example writes (protocol.md, "Motion as recorded")."""

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatius_sim.files.open_named_file import open_named_file
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.errors import UsageError

MAX_BYTES = 1_000_000_000
"""The largest file that is read: some five hours of speech and its motion, in base64."""

_HIGHEST_RATE = 192_000
_AUDIO_FORMAT = "pcm_s16le_mono"
_LONGEST_SHOWN = 50
_TYPE_WORDS: dict[type[Any], str] = {int: "a whole number", str: "a text", list: "a list"}


@dataclass(frozen=True, slots=True)
class Recording:
    """One request as the SDK's example recorded it: its audio (mono s16le) and the payloads that answered it,
    byte for byte."""

    name: str
    sample_rate: int
    connection_id: str
    req_id: str
    audio: bytes
    payloads: tuple[bytes, ...]


def read_recording(path: Path) -> Recording:
    """Read a file in the format of the Server SDK's example program. Return the recording in it: one request,
    its audio and its motion payloads. Raises UsageError, with the file's name and what is wrong, if the file
    has another format or more than MAX_BYTES bytes."""
    document = _read_document(path)
    try:
        if (audio_format := _read_member(document, "audio_format", str)) != _AUDIO_FORMAT:
            raise ValueError(
                f"audio_format: {audio_format[:_LONGEST_SHOWN]!r} is not supported, only {_AUDIO_FORMAT}"
            )
        rate = _read_member(document, "sample_rate", int)
        if not 1 <= rate <= _HIGHEST_RATE:
            raise ValueError(f"sample_rate: no whole number of hertz from 1 to {_HIGHEST_RATE}")
        audio = _read_base64("audio_base64", _read_member(document, "audio_base64", str))
        if len(audio) % BYTES_PER_SAMPLE:
            raise ValueError("audio_base64: half a sample is left over")
        payloads = _read_member(document, "animation_messages_base64", list)
        return Recording(
            path.stem,
            rate,
            _read_id(document, "connection_id"),
            _read_id(document, "req_id"),
            audio,
            tuple(
                _read_base64(f"animation_messages_base64[{number}]", payload)
                for number, payload in enumerate(payloads)
            ),
        )
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


def _read_document(path: Path) -> Mapping[str, Any]:
    """Return the JSON object in the file of an SDK recording. Raises UsageError if the file cannot be read,
    is larger than MAX_BYTES, or holds no JSON object."""
    try:
        if path.is_char_device():
            raise UsageError(f"{path}: a device is no recording")
        with open_named_file(path) as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise UsageError(f"{path}: larger than {MAX_BYTES} bytes, as no recording is")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(f"{path}: this is not JSON: {reason}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path}: this is not a recording, for it is not a JSON object")
    return document


def _read_member(document: Mapping[str, Any], name: str, expected_type: type[Any]) -> Any:
    """Return the value of the member `name` in the JSON object of an SDK recording. Raises ValueError, whose
    text names the member, if it is missing or has another type than `expected_type`."""
    if name not in document:
        raise ValueError(f"{name}: is missing")
    value = document[name]
    if type(value) is not expected_type:
        raise ValueError(
            f"{name}: {_TYPE_WORDS[expected_type]} is needed, not {str(value)[:_LONGEST_SHOWN]!r}"
        )
    return value


def _read_id(document: Mapping[str, Any], name: str) -> str:
    """Return an id from the JSON object of an SDK recording: its member `name`. Raises ValueError if the
    member is missing, is no text, or cannot be encoded as UTF-8."""
    value = str(_read_member(document, name, str))
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: half a surrogate pair is not text") from error
    return value


def _read_base64(name: str, text: Any) -> bytes:
    """Return the bytes of a base64 text in an SDK recording. Raises ValueError if `text` is no text or no
    base64; `name` names the member in the error."""
    if not isinstance(text, str):
        raise ValueError(f"{name}: a base64 text is needed, not a {type(text).__name__}")
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"{name}: this is not base64: {error}") from error
