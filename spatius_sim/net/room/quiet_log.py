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


_FILTER = _HideTokens()
_NOWHERE = logging.NullHandler()


def quiet_livekit_log() -> None:
    """Make the log of LiveKit's library quiet: from now on tokens in it are replaced by stars, and nothing of
    it comes to the terminal of a program that configures no logging."""
    logger = logging.getLogger("livekit")
    logger.addFilter(_FILTER)
    logger.addHandler(_NOWHERE)
