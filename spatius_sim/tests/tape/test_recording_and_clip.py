"""Recordings and clips from outside are checked: a clear error names the file and what is wrong."""

import json
import wave
from base64 import b64encode
from pathlib import Path

import pytest

from spatius_sim.files.clip import read_clip
from spatius_sim.files.resources import resource
from spatius_sim.protocol.errors import UsageError
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
    "change",
    [{"audio_format": "mp3"}, {"audio_base64": "?"}, {"req_id": None, "sample_rate": "fast"}],
)
def test_another_shape_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(STORED | change))
    with pytest.raises(UsageError, match=r"one\.json: "):
        read_recording(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "\x00"])
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
    with pytest.raises(UsageError, match="no WAV"):
        read_clip(path)
    with wave.open(str(path), "wb") as stereo:
        stereo.setnchannels(2)
        stereo.setsampwidth(2)
        stereo.setframerate(16000)
        stereo.writeframes(b"\0" * 8)
    with pytest.raises(UsageError, match="mono 16-bit"):
        read_clip(path)
