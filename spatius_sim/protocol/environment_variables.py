"""The environment variables from which the Server SDK's examples read the URLs of Motion Server and their own
credentials, and those that send them through a proxy."""

from collections.abc import Mapping

CONSOLE_VARIABLE = "SPATIUS_CONSOLE_ENDPOINT"
INGRESS_VARIABLE = "SPATIUS_INGRESS_ENDPOINT"
API_KEY_VARIABLE = "SPATIUS_API_KEY"
APP_ID_VARIABLE = "SPATIUS_APP_ID"
AVATAR_ID_VARIABLE = "SPATIUS_AVATAR_ID"

LIVEKIT_URL_VARIABLE = "LIVEKIT_URL"
LIVEKIT_KEY_VARIABLE = "LIVEKIT_API_KEY"
LIVEKIT_SECRET_VARIABLE = "LIVEKIT_API_SECRET"
"""What LiveKit's own tools read."""


def endpoint_variables(console_endpoint: str, ingress_endpoint: str) -> dict[str, str]:
    """Return the environment variables that tell a relay the URLs of Motion Server's console and ingress."""
    return {CONSOLE_VARIABLE: console_endpoint, INGRESS_VARIABLE: ingress_endpoint}


def credential_variables(api_key: str, app_id: str, avatar_id: str) -> dict[str, str]:
    """Return the environment variables with a relay's API key, app id and avatar id."""
    return {API_KEY_VARIABLE: api_key, APP_ID_VARIABLE: app_id, AVATAR_ID_VARIABLE: avatar_id}


_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY", "WSS_PROXY")
_NO_PROXY = "NO_PROXY"
_LOOPBACK_NAMES = ("127.0.0.1", "localhost")


def proxy_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the names of those environment variables, such as HTTP_PROXY, by which clients send even
    requests to 127.0.0.1 through a proxy. The list is empty if no proxy is set, or if NO_PROXY excepts
    127.0.0.1."""
    names = [name for name, value in environment.items() if name.upper() in _PROXY_VARIABLES and value]
    excepted = [environment.get(name, "").split(",") for name in (_NO_PROXY, _NO_PROXY.lower())]
    hosts = {host.strip() for part in excepted for host in part}
    return [] if hosts & {_LOOPBACK_NAMES[0], "*"} else sorted(names)


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables, in both spellings, that make HTTP clients go past the HTTP proxy of
    the environment if they call 127.0.0.1. Return no variables if the environment names no HTTP proxy."""
    if not proxy_variables(environment):
        return {}
    excepted = environment.get(_NO_PROXY) or environment.get(_NO_PROXY.lower(), "")
    hosts = ",".join(filter(None, [excepted, *_LOOPBACK_NAMES]))
    return {_NO_PROXY: hosts, _NO_PROXY.lower(): hosts}
