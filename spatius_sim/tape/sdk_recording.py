"""Reads recordings in the shape that the SDK's HTTP example writes (protocol.md, "Motion as recorded")."""

import json
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path

from spatius_sim.protocol.errors import UsageError


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded request: its audio (mono s16le) and the payloads that answered it, byte for byte."""

    name: str
    sample_rate: int
    connection_id: str
    req_id: str
    audio: bytes
    payloads: tuple[bytes, ...]


def read_recording(path: Path) -> Recording:
    """Return the recording in a file. Raises UsageError with file name and reason if the file has another
    shape."""
    try:
        document = json.loads(path.read_bytes())
        if document["audio_format"] != "pcm_s16le_mono":
            raise UsageError(f"{path}: audio_format {document['audio_format']!r} is not supported")
        payloads = tuple(b64decode(text, validate=True) for text in document["animation_messages_base64"])
        return Recording(
            path.stem,
            int(document["sample_rate"]),
            str(document["connection_id"]),
            str(document["req_id"]),
            b64decode(document["audio_base64"], validate=True),
            payloads,
        )
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: this is no recording: {error!r}") from error
