"""Keeps LiveKit's library quiet: it writes whole tokens into its log when it cannot join, and dozens of lines
when a room goes away."""

import logging
import re

_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")


class _HideTokens(logging.Filter):
    """Replaces tokens in every record of a log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the tokens in a log record, and let the record pass."""
        record.msg, record.args = _TOKEN.sub("***", record.getMessage()), ()
        return True


_TOKEN_FILTER = _HideTokens()
_DISCARDING_HANDLER = logging.NullHandler()


def quiet_livekit_log() -> None:
    """Put stars in place of the tokens in the log of LiveKit's library from now on. If the program configures
    no logging, this log is not printed at all."""
    logger = logging.getLogger("livekit")
    logger.addFilter(_TOKEN_FILTER)
    logger.addHandler(_DISCARDING_HANDLER)
