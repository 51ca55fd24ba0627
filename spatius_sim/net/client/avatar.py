"""A relay's client with an avatar: feeds what arrives on the wire to a decoder, which plays in real time."""

import asyncio
import time
from collections.abc import Callable

from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.net.client.relay import RelayClient
from spatius_sim.net.live_recorder import LiveRecorder
from spatius_sim.trace.events import Lane
from spatius_sim.wires.events import Audio, Failed, Interrupted, Motion, Ready, RelayEvent

_TICK_SECONDS = 0.04


class AvatarClient:
    """Feeds a ClientDecoder with what a RelayClient hears, until `stop`. If the relay says that motion
    failed, the decoder gets an empty list, so that the audio plays out in audio-only."""

    def __init__(
        self,
        relay: RelayClient,
        recorder: LiveRecorder,
        name: str,
        new_id: Callable[[], str],
        sample_rate: int = 16000,
    ) -> None:
        self._relay, self._recorder, self._name = relay, recorder, name
        self._ids: dict[str, str] = {}
        self._new_id = new_id
        self.decoder = ClientDecoder(sample_rate, new_id, time.monotonic_ns())
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop listening and playing."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        """Let time pass for the decoder, feed it, and record what it reports, for ever."""
        while True:
            try:
                heard = await asyncio.wait_for(self._relay.heard.get(), _TICK_SECONDS)
            except TimeoutError:
                heard = None
            self.decoder.advance(time.monotonic_ns())
            if heard is not None:
                self._feed(heard)
            for event in self.decoder.take_events():
                self._recorder.emit(Lane.DECODER, self._name, event)

    def _feed(self, heard: RelayEvent) -> None:
        """Give the decoder what one event of the relay means to it."""
        match heard:
            case Ready(output_sample_rate=rate) if rate:
                self.decoder = ClientDecoder(rate, self._new_id, time.monotonic_ns())
            case Audio(pcm, last, turn_id):
                self._ids[turn_id] = self.decoder.yield_audio_data(pcm, last)
            case Motion((), True):
                pass  # An empty list that bears the end mark is a mark, not a switch (ASSUMED).
            case Motion(payloads, _, turn_id):
                self.decoder.yield_frames_data(payloads, self._ids.get(turn_id, ""))
            case Failed():
                current = self.decoder.get_current_conversation_id()
                if current is not None:
                    self.decoder.yield_frames_data([], current)
            case Interrupted():
                self.decoder.interrupt()
