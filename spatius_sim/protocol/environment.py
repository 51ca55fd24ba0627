"""The environment variables from which the Server SDK's examples read the URLs of Motion Server and their own
credentials."""

CONSOLE_VARIABLE = "SPATIUS_CONSOLE_ENDPOINT"
INGRESS_VARIABLE = "SPATIUS_INGRESS_ENDPOINT"
API_KEY_VARIABLE = "SPATIUS_API_KEY"
APP_ID_VARIABLE = "SPATIUS_APP_ID"
AVATAR_ID_VARIABLE = "SPATIUS_AVATAR_ID"


def endpoint_variables(console_endpoint: str, ingress_endpoint: str) -> dict[str, str]:
    """Return the environment variables that tell a relay the URLs of Motion Server's console and ingress."""
    return {CONSOLE_VARIABLE: console_endpoint, INGRESS_VARIABLE: ingress_endpoint}


def credential_variables(api_key: str, app_id: str, avatar_id: str) -> dict[str, str]:
    """Return the environment variables with a relay's API key, app id and avatar id."""
    return {API_KEY_VARIABLE: api_key, APP_ID_VARIABLE: app_id, AVATAR_ID_VARIABLE: avatar_id}
