"""Reads speech clips: WAV files, mono s16le."""

import wave
from dataclasses import dataclass
from pathlib import Path

from spatius_sim.files.open_named_file import open_named_file
from spatius_sim.protocol.errors import UsageError


@dataclass(frozen=True, slots=True)
class Clip:
    """Speech as PCM mono s16le at `sample_rate` Hz."""

    pcm: bytes
    sample_rate: int


def read_clip(path: Path) -> Clip:
    """Return the samples and the sample rate of a WAV file with speech. Raises UsageError if the file cannot
    be read, or is not mono 16-bit WAV."""
    try:
        with open_named_file(path) as raw_file, wave.open(raw_file, "rb") as wav_file:
            if wav_file.getnchannels() != 1 or wav_file.getsampwidth() != 2:
                raise UsageError(f"{path}: mono 16-bit WAV is needed")
            return Clip(wav_file.readframes(wav_file.getnframes()), wav_file.getframerate())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (wave.Error, EOFError) as error:
        raise UsageError(f"{path}: this is not a WAV file: {error}") from error
