"""Motion Servers that take Ogg Opus: honest ones, and some that are wrong there alone. They decode no sound:
each packet of 20 ms becomes a tone."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from spatius_sim.miniatures.server.plain_server import PlainServer, PlainSession
from spatius_sim.model.server.decode_audio_input import OggOpusDecoder
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, OPUS_SAMPLE_RATES, PCM_SAMPLE_RATES
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.messages import AudioFormat, AudioInput, ConfigureSession, Message, ServerError
from spatius_sim.protocol.ogg import OPUS_HZ, SAMPLES_PER_PACKET, OpusHead
from spatius_sim.trace.events import Undecodable

_TONE_HZ = 200
_TONE_PEAK = 8000.0


class ToneForEachPacket:
    """Stands for a decoder of Opus: gives 20 ms of a tone for each packet, whatever is in it."""

    def __init__(self, head: OpusHead) -> None:
        """The header of the stream does not matter."""
        seconds = np.arange(SAMPLES_PER_PACKET) / OPUS_HZ
        self._tone = (_TONE_PEAK * np.sin(2 * np.pi * _TONE_HZ * seconds)).astype("<i2").tobytes()

    def decode(self, packet: bytes) -> bytes:
        """Return the tone."""
        return self._tone


class TakesOpus(PlainServer):
    """Takes Ogg Opus, too. A damaged stream fails its request."""

    rates: tuple[int, ...] = OPUS_SAMPLE_RATES
    """At which rates, in Hz."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._opus_sessions: set[str] = set()
        self._decoders: dict[str, OggOpusDecoder] = {}
        """The decoder of each request that goes on."""
        self._failed: set[str] = set()

    def configure(self, session: PlainSession, value: Message | Undecodable) -> list[bytes]:
        match value:
            case ConfigureSession(sample_rate=rate, audio_format=AudioFormat.OGG_OPUS) if rate in self.rates:
                self._opus_sessions.add(session.connection_id)
                session.sample_rate = OPUS_HZ
                return self.confirm(session)
            case ConfigureSession(sample_rate=rate, audio_format=AudioFormat.OGG_OPUS):
                return [self.refusal(f"unsupported sample rate: {rate}")]
        return super().configure(session, value)

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        if session.connection_id not in self._opus_sessions:
            return super().audio(session, audio)
        if audio.req_id in self._failed:
            return []
        key = self.stream_of(session, audio)
        decoder = self._decoders.setdefault(key, OggOpusDecoder(ToneForEachPacket))
        try:
            pcm = decoder.feed(audio.audio) + (self.finish(decoder) if audio.end else b"")
        except RemoteProtocolError as damaged:
            self._failed.add(audio.req_id)
            return self.fail(session, audio, str(damaged))
        return super().audio(session, replace(audio, audio=pcm))

    def stream_of(self, session: PlainSession, audio: AudioInput) -> str:
        """What tells the stream of this audio from others."""
        return audio.req_id

    def finish(self, decoder: OggOpusDecoder) -> bytes:
        """The PCM at the end of a stream."""
        return decoder.finish()

    def fail(self, session: PlainSession, audio: AudioInput, reason: str) -> list[bytes]:
        """The answer to damaged audio."""
        return [encode(ServerError(session.connection_id, audio.req_id, 3, reason))]


class SkipsDamagedOpus(TakesOpus):
    """Leaves a damaged stream at its damage, and answers what came before."""

    def fail(self, session: PlainSession, audio: AudioInput, reason: str) -> list[bytes]:
        return PlainServer.audio(self, session, replace(audio, audio=b"", end=True))


class HangsUpOnDamagedOpus(TakesOpus):
    """Closes the connection of a damaged stream, without a word."""

    def fail(self, session: PlainSession, audio: AudioInput, reason: str) -> list[bytes]:
        session.refused = True
        return []


class CountsPreSkip(TakesOpus):
    """Does not leave out what the encoder needs to begin."""

    def finish(self, decoder: OggOpusDecoder) -> bytes:
        skipped = 312
        return bytes(skipped * BYTES_PER_SAMPLE) + super().finish(decoder)


class KeepsDamageToItself(TakesOpus):
    """Says nothing of a damaged stream, and answers it no more."""

    def fail(self, session: PlainSession, audio: AudioInput, reason: str) -> list[bytes]:
        return []


class LosesLastPacket(TakesOpus):
    """Drops the packet that it holds back when a stream ends."""

    def finish(self, decoder: OggOpusDecoder) -> bytes:
        return b""


class ReadsOneStreamForAll(TakesOpus):
    """Takes all streams of a session for one: the headers of the second are noise to it."""

    def stream_of(self, session: PlainSession, audio: AudioInput) -> str:
        return session.connection_id


class TakesOpusAtRatesOfPcm(TakesOpus):
    """Takes Ogg Opus only at the rates that PCM has, too."""

    rates = PCM_SAMPLE_RATES


class TakesOpusForPcm(PlainServer):
    """Does not look at the audio format."""

    def takes(self, configuration: ConfigureSession) -> bool:
        return True
