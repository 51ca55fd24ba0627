"""Draws a conversation while it happens: what was sent up and down, and how the jaw moves."""

from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

_BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDEST_JAW_RADIANS = 0.063
_JAW_COLUMNS = 72


@dataclass(frozen=True, slots=True)
class ConversationFigures:
    """The figures of one moment: seconds of audio, and numbers of payloads.

    `jaw_radians` is how wide the jaw is open, or None while the face has no motion."""

    spoken_seconds: float
    total_seconds: float
    payloads_sent: int
    payloads_taken: int
    payloads_discarded: int
    state: str
    conversation_id: str
    played_seconds: float
    audio_only: bool
    jaw_radians: float | None


class ConversationView:
    """Draws the figures of one moment after the other. The positions of the jaw stay visible as a trail."""

    def __init__(self) -> None:
        self._trail: list[str] = []

    def draw(self, figures: ConversationFigures) -> Table:
        """Return these figures of the demo's conversation as a table for the terminal. Its last row draws the
        jaw: the present position, and up to 71 positions from earlier calls."""
        self._trail = [*self._trail, _draw_jaw(figures.jaw_radians)][-_JAW_COLUMNS:]
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style="bold")
        table.add_row(
            "client → relay", f"{figures.spoken_seconds:4.1f} of {figures.total_seconds:.1f} s of speech"
        )
        table.add_row("Motion Server → relay", f"{figures.payloads_sent} motion payloads")
        joined = f"{figures.payloads_taken} payloads joined {figures.conversation_id}"
        table.add_row("relay → client", f"{joined}, {figures.payloads_discarded} discarded")
        mode = "audio-only" if figures.audio_only else "audio and motion"
        table.add_row("avatar", f"{figures.state}, {mode}, {figures.played_seconds:4.1f} s played")
        table.add_row("jaw", Text("".join(self._trail), style="cyan"))
        return table


def _draw_jaw(jaw_radians: float | None) -> str:
    """Return one character that shows how wide the jaw is open: the wider it is, the higher the block. None,
    a face without motion, gives "·"."""
    if jaw_radians is None:
        return "·"
    height = round(jaw_radians / _WIDEST_JAW_RADIANS * (len(_BLOCKS) - 1))
    return _BLOCKS[max(1, min(height, len(_BLOCKS) - 1))]
