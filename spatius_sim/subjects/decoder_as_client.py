"""Gives our own decoder, or a variation of it, the methods that the shim calls."""

from collections.abc import Callable
from itertools import count
from typing import Any

from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.protocol.keyframes import TRANSLATION, Keyframes
from spatius_sim.subjects.client_shim import Factory
from spatius_sim.trace.decoder_events import StarvationMode

_NS_PER_MS = 1_000_000


class OwnClient:
    """Runs a decoder on a virtual clock that begins at 0.

    It keeps what was rendered until `take_rendered`. Every attribute that this class does not define is the
    decoder's."""

    modes = tuple(StarvationMode)

    def __init__(
        self, sample_rate: int, mode: str, decoder_class: type[ClientDecoder] = ClientDecoder
    ) -> None:
        """Make our own client, with a new decoder of the class `decoder_class` and a virtual clock at 0 s.
        `sample_rate` is in Hz. `mode` names what the decoder does while motion is missing; "" means that the
        audio goes on."""
        conversation_numbers = count(1)
        self._rendered: list[float] = []
        self._now_ns = 0
        self.decoder = decoder_class(
            sample_rate,
            lambda: f"conversation-{next(conversation_numbers)}",
            mode=StarvationMode(mode or StarvationMode.AUDIO_INDEPENDENT),
            render=self._render,
        )

    def __getattr__(self, name: str) -> Any:
        """Return the decoder's attribute of this name."""
        return getattr(self.decoder, name)

    @property
    def state(self) -> str:
        """The playback state, as the decoder reports it."""
        return str(getattr(self.decoder, "reported_state", self.decoder.state))

    def advance(self, ms: int) -> None:
        """Move the virtual clock forward by `ms` milliseconds."""
        self._now_ns += ms * _NS_PER_MS
        self.decoder.advance(self._now_ns)

    def take_rendered(self) -> list[float]:
        """Return the first translation value of each keyframe that was rendered since the last call."""
        rendered, self._rendered = self._rendered, []
        return rendered

    def _render(self, keyframe: Keyframes) -> None:
        """Keep the first translation value of a keyframe that our own client's decoder has rendered."""
        self._rendered.append(float(keyframe[TRANSLATION.start]))


def own_client_factory(
    decoder_class: type[ClientDecoder] = ClientDecoder,
) -> Callable[[int, str], OwnClient]:
    """Return a function that makes our own client, whose decoder is a `decoder_class`. The function takes a
    sample rate in Hz and the name of a starvation mode: what happens while motion is missing."""

    def make_client(sample_rate: int, mode: str) -> OwnClient:
        return OwnClient(sample_rate, mode, decoder_class)

    return make_client


OWN: Factory = own_client_factory()
