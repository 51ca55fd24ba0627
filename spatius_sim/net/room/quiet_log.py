"""Keeps tokens out of the log of LiveKit's library, which writes whole tokens when it cannot join."""

import logging
import re

_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")


class _HideTokens(logging.Filter):
    """Replaces tokens in every record of a log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the tokens in a log record, and let the record pass."""
        record.msg, record.args = _TOKEN.sub("***", record.getMessage()), ()
        return True


_FILTER = _HideTokens()


def hide_tokens_in_log() -> None:
    """Hide tokens in the log of LiveKit's library from now on."""
    logging.getLogger("livekit").addFilter(_FILTER)
