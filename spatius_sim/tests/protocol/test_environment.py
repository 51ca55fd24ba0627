"""The environment variables that a relay reads stand under one name each."""

from spatius_sim.protocol.environment import credential_variables, endpoint_variables


def test_five_variables_point_a_relay_at_a_motion_server() -> None:
    endpoints = endpoint_variables("http://127.0.0.1:1/v1/console", "ws://127.0.0.1:1/v2/driveningress")
    assert endpoints | credential_variables("key", "app", "avatar") == {
        "SPATIUS_CONSOLE_ENDPOINT": "http://127.0.0.1:1/v1/console",
        "SPATIUS_INGRESS_ENDPOINT": "ws://127.0.0.1:1/v2/driveningress",
        "SPATIUS_API_KEY": "key",
        "SPATIUS_APP_ID": "app",
        "SPATIUS_AVATAR_ID": "avatar",
    }
