"""Draws a conversation while it happens: what was sent up and down, and how the jaw moves."""

from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

_BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDEST_JAW = 0.063
_JAW_COLUMNS = 72


@dataclass(frozen=True, slots=True)
class ConversationFigures:
    """The figures of one moment: seconds of audio, and numbers of payloads.

    `jaw` is in radians, or None while the face has no motion."""

    spoken: float
    total: float
    payloads_sent: int
    payloads_taken: int
    payloads_discarded: int
    state: str
    conversation: str
    played: float
    audio_only: bool
    jaw: float | None


class ConversationView:
    """Draws the figures of one moment after the other. The positions of the jaw stay visible as a trail."""

    def __init__(self) -> None:
        self._trail: list[str] = []

    def draw(self, figures: ConversationFigures) -> Table:
        """Draw the demo's conversation with these figures, and return it as a table for the terminal.
        Remember the present position of the jaw, so that the table shows its last positions in a row."""
        self._trail = [*self._trail, _jaw_mark(figures)][-_JAW_COLUMNS:]
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style="bold")
        table.add_row("client → relay", f"{figures.spoken:4.1f} of {figures.total:.1f} s of speech")
        table.add_row("Motion Server → relay", f"{figures.payloads_sent} motion payloads")
        joined = f"{figures.payloads_taken} payloads joined {figures.conversation}"
        table.add_row("relay → client", f"{joined}, {figures.payloads_discarded} discarded")
        mode = "audio-only" if figures.audio_only else "audio and motion"
        table.add_row("avatar", f"{figures.state}, {mode}, {figures.played:4.1f} s played")
        table.add_row("jaw", Text("".join(self._trail), style="cyan"))
        return table


def _jaw_mark(now: ConversationFigures) -> str:
    """Return the character that draws the jaw's position: the wider the jaw, the higher the block; "·" for
    a face without motion."""
    if now.jaw is None:
        return "·"
    height = round(now.jaw / _WIDEST_JAW * (len(_BLOCKS) - 1))
    return _BLOCKS[max(1, min(height, len(_BLOCKS) - 1))]
