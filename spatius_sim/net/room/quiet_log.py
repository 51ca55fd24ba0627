"""Keeps tokens out of the log of LiveKit's library, which writes whole tokens when it cannot join."""

import logging
import re

_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")


class _HideTokens(logging.Filter):
    """Replaces tokens in every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the tokens in a record, and let it pass."""
        record.msg, record.args = _TOKEN.sub("***", record.getMessage()), ()
        return True


_FILTER = _HideTokens()


def hide_tokens_in_log() -> None:
    """From now on show no token in the log of LiveKit's library."""
    logging.getLogger("livekit").addFilter(_FILTER)
