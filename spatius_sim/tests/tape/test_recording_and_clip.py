"""Recordings and clips from outside are checked: a clear error names the file and what is wrong."""

import json
import wave
from base64 import b64encode
from pathlib import Path

import pytest

from spatius_sim.files.clip_file import read_clip
from spatius_sim.files.find_resources import resource
from spatius_sim.protocol.errors import UsageError
from spatius_sim.tape.import_export import import_recordings, read_requests
from spatius_sim.tape.sdk_recording import read_recording

STORED = {
    "sample_rate": 16000,
    "audio_format": "pcm_s16le_mono",
    "audio_base64": b64encode(b"abcd").decode(),
    "connection_id": "connection",
    "req_id": "request",
    "animation_messages_base64": [b64encode(b"payload").decode()],
}


def test_a_recording_is_read(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(STORED))
    recording = read_recording(path)
    assert (recording.name, recording.sample_rate, recording.req_id) == ("one", 16000, "request")
    assert (recording.audio, recording.payloads) == (b"abcd", (b"payload",))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("audio_format", "mp3"),
        ("audio_base64", "?"),
        ("audio_base64", b64encode(b"abc").decode()),
        ("audio_base64", 7),
        ("sample_rate", "fast"),
        ("sample_rate", 16000.5),
        ("sample_rate", 2**40),
        ("sample_rate", -1),
        ("sample_rate", True),
        ("sample_rate", None),
        ("req_id", None),
        ("req_id", "\ud800"),
        ("connection_id", ["x"]),
        ("animation_messages_base64", "AAAA"),
        ("animation_messages_base64", [None]),
        ("animation_messages_base64", ["AAAA", "?"]),
    ],
)
def test_another_shape_is_refused_with_the_name_of_the_member(
    tmp_path: Path, member: str, value: object
) -> None:
    path = tmp_path / "one.json"
    for document in (STORED | {member: value}, {name: STORED[name] for name in STORED if name != member}):
        path.write_text(json.dumps(document))
        with pytest.raises(UsageError, match=rf"one\.json: {member}"):
            read_recording(path)


def test_a_number_that_no_machine_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    for number in ("1e999", "NaN", "9" * 5000):
        path.write_text(json.dumps(STORED).replace("16000", number))
        with pytest.raises(UsageError, match=r"one\.json: "):
            read_recording(path)


def test_an_endless_file_is_refused_in_bounded_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="a device is no recording"):
        read_recording(Path("/dev/zero"))
    monkeypatch.setattr("spatius_sim.tape.sdk_recording.MAX_BYTES", 1_000_000)
    path = tmp_path / "large.json"
    path.write_bytes(bytes(1_000_001))
    with pytest.raises(UsageError, match="larger than 1000000 bytes"):
        read_recording(path)


def test_speech_of_a_minute_is_imported_whole(tmp_path: Path) -> None:
    speech = bytes(range(256)) * 7_500
    path = tmp_path / "long.json"
    path.write_text(json.dumps(STORED | {"audio_base64": b64encode(speech).decode()}))
    import_recordings([path], tmp_path / "long.tape", "", keep_audio=True)
    (request,) = read_requests(tmp_path / "long.tape")
    assert bytes(request.audio) == speech


@pytest.mark.parametrize("text", ["", "[]", "{}", "\x00", "null", "[" * 100_000])
def test_what_is_no_recording_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "one.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"one\.json: "):
        read_recording(path)
    with pytest.raises(UsageError, match="No such file"):
        read_recording(tmp_path / "two.json")


@pytest.mark.parametrize(("name", "seconds"), [("hello", 6), ("relay", 20)])
def test_the_bundled_speech_is_real_and_fits_the_relays_rate(name: str, seconds: int) -> None:
    clip = read_clip(resource("fixtures") / "speech" / f"{name}.wav")
    assert clip.sample_rate == 16000
    assert len(clip.pcm) // 2 // 16000 == seconds


def test_what_is_no_mono_wav_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.wav"
    with pytest.raises(UsageError, match="No such file"):
        read_clip(path)
    path.write_bytes(b"RIFF")
    with pytest.raises(UsageError, match="not a WAV"):
        read_clip(path)
    with wave.open(str(path), "wb") as stereo:
        stereo.setnchannels(2)
        stereo.setsampwidth(2)
        stereo.setframerate(16000)
        stereo.writeframes(b"\0" * 8)
    with pytest.raises(UsageError, match="mono 16-bit"):
        read_clip(path)
