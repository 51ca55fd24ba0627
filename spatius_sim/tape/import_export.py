"""Converts tapes from and to other files: the SDK example's JSON, WAV, and motion as arrays."""

import json
import wave
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatius_sim.files.write_whole_file import write_file_atomically
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.keyframes import FIELDS
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, ConfirmSession, MotionResponse
from spatius_sim.tape.export_har import make_har
from spatius_sim.tape.export_perfetto import make_perfetto_trace
from spatius_sim.tape.reader import read_header
from spatius_sim.tape.sdk_recording import Recording, read_recording
from spatius_sim.tape.tape_values import TapeHeader
from spatius_sim.tape.traces_on_tapes import read_traces, write_traces
from spatius_sim.trace.events import Closed, Event, EventKind, Lane, Received, Sent, Trace, TraceHeader
from spatius_sim.trace.read_frames import read_upstream

_MESSAGE_BYTES = 1_000_000
"""The most audio in one message of an imported request. Any relay could have sent it so."""
_KEYFRAME_NS = 1_000_000_000 // KEYFRAMES_PER_SECOND


@dataclass(slots=True)
class TapedRequest:
    """One request on a tape: its audio, and the payloads that answered it, byte for byte."""

    connection_id: str
    req_id: str
    sample_rate: int
    audio: bytearray = field(default_factory=bytearray)
    payloads: list[bytes] = field(default_factory=list)


def import_recordings(paths: list[Path], out: Path, kit_version: str, *, keep_audio: bool) -> None:
    """Import recordings that the Server SDK's example program wrote: write them to the new tape `out`, as one
    run for each. `kit_version` (of this program) stands in its header. Without `keep_audio`, the tape holds
    no speech. Raises UsageError if a file is not such a recording."""
    recordings = [read_recording(path) for path in paths]
    rates = tuple(sorted({recording.sample_rate for recording in recordings}))
    redactions = ("secrets", "names") if keep_audio else ("secrets", "names", "speech")
    header = TapeHeader("import", kit_version=kit_version, rates=rates, redactions=redactions)
    write_traces(out, header, [_make_trace(recording, kit_version) for recording in recordings])


def _make_trace(recording: Recording, kit_version: str) -> Trace:
    """Make a trace, to import it onto a tape, from a recording, as a proxy would have recorded it. All audio
    is sent at once, in messages of at most `_MESSAGE_BYTES`. Each motion payload comes when its last keyframe
    is due."""
    configuration = encode(ConfigureSession(recording.sample_rate))
    confirmation = encode(ConfirmSession(recording.connection_id))
    events: list[tuple[int, EventKind]] = [
        (0, Received(configuration, read_upstream(configuration))),
        (0, Sent(confirmation, read_upstream(confirmation))),
    ]
    audio = recording.audio
    for start in range(0, max(1, len(audio)), _MESSAGE_BYTES):
        end = start + _MESSAGE_BYTES
        message = encode(AudioInput(recording.req_id, audio[start:end], end >= len(audio)))
        events.append((0, Received(message, read_upstream(message))))
    due_ns = 0
    for payload in recording.payloads:
        motion = read_upstream(payload)
        due_ns += len(motion.keyframes) * _KEYFRAME_NS if isinstance(motion, MotionResponse) else 0
        events.append((due_ns, Sent(payload, motion, recording.req_id)))
    events.append((due_ns, Closed(by_kit=False, code=1000)))
    header = TraceHeader(
        "server", wire="", seed=0, plan=recording.name, kit_version=kit_version, halves="upstream"
    )
    numbered_events = (
        Event(number, event_at_ns, Lane.UPSTREAM, "upstream-1", content)
        for number, (event_at_ns, content) in enumerate(events)
    )
    return Trace(header, tuple(numbered_events))


def read_requests(path: Path) -> Iterator[TapedRequest]:
    """Yield the requests of a tape, to export them, in the order in which they began."""
    for trace in read_traces(path):
        yield from _collect_requests(trace)


def _collect_requests(trace: Trace) -> list[TapedRequest]:
    """Return the requests in one run of a tape, in the order in which they began, so that they can be
    exported. Each has its audio, and the motion payloads that answered it. A payload that answers no known
    request belongs to the latest request of its connection."""
    rate_by_connection: dict[str, int] = {}
    id_by_connection: dict[str, str] = {}
    requests: dict[tuple[str, str], TapedRequest] = {}
    latest_by_connection: dict[str, TapedRequest] = {}
    for event in trace.on_lane(Lane.UPSTREAM):
        content, connection = event.content, event.connection
        if not isinstance(content, Sent | Received):
            continue
        match content.value:
            case ConfigureSession(sample_rate=rate):
                rate_by_connection[connection] = rate
            case ConfirmSession(connection_id):
                id_by_connection[connection] = connection_id
            case AudioInput(req_id, audio):
                new_request = TapedRequest("", req_id, rate_by_connection.get(connection, 0))
                latest_by_connection[connection] = requests.setdefault((connection, req_id), new_request)
                latest_by_connection[connection].audio += audio
            case MotionResponse(req_id=req_id):
                answered_id = (content.answers if isinstance(content, Sent) else "") or req_id
                # A replay with original ids answers with ids that its relay never chose.
                request = requests.get((connection, answered_id)) or latest_by_connection.get(connection)
                if request is not None and isinstance(content.raw, bytes):
                    request.payloads.append(content.raw)
    for (connection, _), request in requests.items():
        request.connection_id = id_by_connection.get(connection, "")
    return list(requests.values())


def export_recordings(path: Path, folder: Path) -> list[Path]:
    """Export each request of a tape as a JSON file in `folder`, in the format of the Server SDK's example
    program. Return the paths of the files. Raises UsageError if the tape has no speech."""
    _require_speech(path, "the SDK example's shape holds audio")
    paths = []
    for number, request in enumerate(read_requests(path), 1):
        recording = {
            "sample_rate": request.sample_rate,
            "audio_format": "pcm_s16le_mono",
            "audio_base64": b64encode(bytes(request.audio)).decode(),
            "connection_id": request.connection_id,
            "req_id": request.req_id,
            "animation_messages_base64": [b64encode(payload).decode() for payload in request.payloads],
        }
        paths.append(_write_file(folder, number, "json", json.dumps(recording).encode()))
    return paths


def export_speech(path: Path, folder: Path) -> list[Path]:
    """Export the speech of each request of a tape as a WAV file in `folder`, and return the paths. A request
    without a sample rate is left out. Raises UsageError if the tape has no speech."""
    _require_speech(path, "there is nothing to hear")
    paths = []
    for number, request in enumerate(read_requests(path), 1):
        if request.sample_rate:
            wav_file = BytesIO()
            with wave.open(wav_file, "wb") as writer:
                writer.setnchannels(1)
                writer.setsampwidth(BYTES_PER_SAMPLE)
                writer.setframerate(request.sample_rate)
                whole_samples = len(request.audio) // BYTES_PER_SAMPLE
                writer.writeframes(bytes(request.audio[: whole_samples * BYTES_PER_SAMPLE]))
            paths.append(_write_file(folder, number, "wav", wav_file.getbuffer()))
    return paths


def export_motion(path: Path, folder: Path) -> list[Path]:
    """Export the motion of each request of a tape as a .npz file of NumPy arrays in `folder`, and return the
    paths. A file holds an array (keyframes, values) for each field of a keyframe, and `segments`, the number
    of keyframes in each payload. A request without motion is left out."""
    paths = []
    for number, request in enumerate(read_requests(path), 1):
        messages = (read_upstream(payload) for payload in request.payloads)
        keyframes_of_payloads = [
            message.keyframes for message in messages if isinstance(message, MotionResponse)
        ]
        if keyframes_of_payloads:
            keyframes = np.concatenate(keyframes_of_payloads)
            arrays: dict[str, NDArray[Any]] = {
                name: keyframes[:, columns] for name, columns in FIELDS.items()
            }
            arrays["segments"] = np.array(
                [len(payload_keyframes) for payload_keyframes in keyframes_of_payloads]
            )
            npz_file = BytesIO()
            np.savez(npz_file, allow_pickle=False, **arrays)
            paths.append(_write_file(folder, number, "npz", npz_file.getbuffer()))
    return paths


def export_perfetto(path: Path, folder: Path) -> list[Path]:
    """Export a tape as one trace for Perfetto, and return its path."""
    return [_write_json(folder, "trace.perfetto.json", make_perfetto_trace(read_traces(path)))]


def export_har(path: Path, folder: Path) -> list[Path]:
    """Export a tape as one HAR file, and return its path."""
    header = read_header(path)
    har = make_har(read_traces(path), header.recorded_unix_ms, header.kit_version)
    return [_write_json(folder, "tape.har", har)]


def _write_json(folder: Path, name: str, values: dict[str, Any]) -> Path:
    """Write an exported tape as a JSON file in `folder`, and return its path. Raises UsageError if the file
    cannot be written."""
    return _write_bytes(folder, name, json.dumps(values).encode())


def _require_speech(path: Path, why: str) -> None:
    """Raise UsageError, which says `why` speech is needed, if the speech on a tape was not kept."""
    if not read_header(path).has_speech:
        raise UsageError(f"{path}: its speech was not kept, and {why}: record with --keep-audio")


def _write_file(folder: Path, number: int, kind: str, content: bytes | memoryview) -> Path:
    """Write the exported file of a request, and return its path. Raises UsageError if the file cannot be
    written."""
    return _write_bytes(folder, f"request-{number:04}.{kind}", content)


def _write_bytes(folder: Path, file_name: str, content: bytes | memoryview) -> Path:
    """Write an exported file, and return its path. `folder` is created if it is missing. Raises UsageError if
    the file cannot be written."""
    file = _make_folder(folder) / file_name
    try:
        write_file_atomically(file, content)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error
    return file


def _make_folder(folder: Path) -> Path:
    """Make the folder into which a tape is exported, if it is missing, and return the folder. Raises
    UsageError if it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}") from error
    return folder
