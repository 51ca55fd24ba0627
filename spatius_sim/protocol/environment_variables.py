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


def find_proxy_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the environment variables, such as HTTP_PROXY, by which clients send even requests
    to 127.0.0.1 through a proxy. The list is empty if no proxy is set, or if NO_PROXY names 127.0.0.1 or
    `*`."""
    names = [name for name, value in environment.items() if name.upper() in _PROXY_VARIABLES and value]
    no_proxy_lists = [environment.get(name, "").split(",") for name in (_NO_PROXY, _NO_PROXY.lower())]
    hosts_without_proxy = {host.strip() for host_list in no_proxy_lists for host in host_list}
    return [] if hosts_without_proxy & {_LOOPBACK_NAMES[0], "*"} else sorted(names)


def make_no_proxy_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables NO_PROXY and no_proxy that make HTTP clients call 127.0.0.1 without
    the proxy of this environment. Hosts that one of them names already are kept. Return an empty dict if no
    proxy is in the way."""
    if not find_proxy_variables(environment):
        return {}
    earlier_hosts = environment.get(_NO_PROXY) or environment.get(_NO_PROXY.lower(), "")
    hosts = ",".join(filter(None, [earlier_hosts, *_LOOPBACK_NAMES]))
    return {_NO_PROXY: hosts, _NO_PROXY.lower(): hosts}
