"""The form of an id, as Motion Server and the SDKs write them."""

import re

_LOG_ID = re.compile(r"[0-9]{14}_[0-9A-Za-z_-]{12}")


def is_log_id(text: str) -> bool:
    """Whether `text` has the form of an id."""
    return _LOG_ID.fullmatch(text) is not None
