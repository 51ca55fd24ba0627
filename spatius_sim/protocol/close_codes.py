"""The close codes of WebSockets that have a meaning of their own (RFC 6455, 7.4.1)."""

NORMAL_CLOSE = 1000
ABNORMAL_CLOSE = 1006
"""No closing frame came. This code is never sent."""

NO_CODE = 1005
"""A closing frame came without a code. This code is never sent."""

UNSENDABLE_CODES = (1004, NO_CODE, ABNORMAL_CLOSE, 1015)
"""Codes that no closing frame may carry."""


def read_close_code(code: int | None) -> int:
    """Return the close code of a WebSocket of aiohttp, which says 0 if a closing frame came without a code,
    and None if none came."""
    return ABNORMAL_CLOSE if code is None else code or NO_CODE
