"""A relay's client with an avatar: gives what the relay sends to a decoder, which plays in real time."""

import asyncio
from collections.abc import Callable

from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.subjects.relay.kit_client import RelayClient
from spatius_sim.subjects.wait_for_events import loop_time_ns
from spatius_sim.trace.events import Lane
from spatius_sim.wires.events import Audio, Failed, Interrupted, Motion, Ready, RelayEvent

_TICK_SECONDS = 0.04


class AvatarClient:
    """Feeds a ClientDecoder with the events that a RelayClient receives, from now on until `stop`.

    If the relay says that motion failed, the decoder gets an empty list. Then it plays the rest of the audio
    in audio-only mode."""

    def __init__(
        self,
        relay_client: RelayClient,
        recorder: RealTimeRecorder,
        name: str,
        make_conversation_id: Callable[[], str],
        sample_rate: int = 16000,
    ) -> None:
        """Make an avatar, and start to play at once, in a background task: what `relay_client` receives from
        the relay is given to a decoder, which plays audio of `sample_rate` Hz. The decoder's own events are
        recorded under `name`. `make_conversation_id` returns a new id at each call."""
        self._relay_client, self._recorder, self._name = relay_client, recorder, name
        self._conversation_id_by_turn_id: dict[str, str] = {}
        self._make_conversation_id = make_conversation_id
        self.decoder = ClientDecoder(sample_rate, make_conversation_id, loop_time_ns())
        self._task = asyncio.create_task(self._play_in_real_time())

    async def stop(self) -> None:
        """Stop listening and playing."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _play_in_real_time(self) -> None:
        """Play the avatar in real time, until this task is cancelled: move the decoder's clock forward, give
        the decoder each event that comes from the relay, and record the decoder's own events."""
        while True:
            try:
                relay_event = await asyncio.wait_for(self._relay_client.relay_events.get(), _TICK_SECONDS)
            except TimeoutError:
                relay_event = None
            self.decoder.advance(loop_time_ns())
            if relay_event is not None:
                self._feed_decoder(relay_event)
            for decoder_event in self.decoder.take_events():
                self._recorder.emit(Lane.DECODER, self._name, decoder_event)

    def _feed_decoder(self, relay_event: RelayEvent) -> None:
        """Give an event that has just come from the relay to the avatar's decoder, by the calls that a client
        must make. If Ready tells a sample rate, make a new decoder. After Failed (no motion will come), give
        an empty list, so that the audio plays on without motion."""
        match relay_event:
            case Ready(output_sample_rate=rate) if rate:
                self.decoder = ClientDecoder(rate, self._make_conversation_id, loop_time_ns())
            case Audio(pcm, last, turn_id):
                self._conversation_id_by_turn_id[turn_id] = self.decoder.yield_audio_data(pcm, last)
            case Motion((), last=True):
                pass  # An empty list with the end mark only ends the motion: no audio-only mode (ASSUMED).
            case Motion(payloads, _, turn_id):
                self.decoder.yield_frames_data(payloads, self._conversation_id_by_turn_id.get(turn_id, ""))
            case Failed():
                current_id = self.decoder.get_current_conversation_id()
                if current_id is not None:
                    self.decoder.yield_frames_data([], current_id)
            case Interrupted():
                self.decoder.interrupt()
