"""The close codes of WebSockets that have a meaning of their own (RFC 6455, 7.4.1)."""

NORMAL_CLOSE = 1000
ABNORMAL_CLOSE = 1006
"""No closing frame came. This code is never sent."""

UNSENDABLE_CODES = (1004, 1005, ABNORMAL_CLOSE, 1015)
"""Codes that no closing frame may carry."""
