"""The environment variables that a relay reads stand under one name each."""

import pytest

from spatius_sim.protocol.environment_variables import (
    credential_variables,
    endpoint_variables,
    find_proxy_variables,
    make_no_proxy_variables,
)


def test_five_variables_point_a_relay_at_a_motion_server() -> None:
    endpoints = endpoint_variables("http://127.0.0.1:1/v1/console", "ws://127.0.0.1:1/v2/driveningress")
    assert endpoints | credential_variables("key", "app", "avatar") == {
        "SPATIUS_CONSOLE_ENDPOINT": "http://127.0.0.1:1/v1/console",
        "SPATIUS_INGRESS_ENDPOINT": "ws://127.0.0.1:1/v2/driveningress",
        "SPATIUS_API_KEY": "key",
        "SPATIUS_APP_ID": "app",
        "SPATIUS_AVATAR_ID": "avatar",
    }


PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({}, []),
        ({"HTTP_PROXY": ""}, []),
        ({"HTTP_PROXY": PROXY, "https_proxy": PROXY, "PROXY": PROXY}, ["HTTP_PROXY", "https_proxy"]),
        ({"all_proxy": PROXY, "NO_PROXY": "example.com"}, ["all_proxy"]),
        ({"HTTP_PROXY": PROXY, "NO_PROXY": "example.com, 127.0.0.1"}, []),
        ({"HTTP_PROXY": PROXY, "no_proxy": "*"}, []),
    ],
)
def test_which_variables_send_clients_to_a_proxy(environment: dict[str, str], names: list[str]) -> None:
    assert find_proxy_variables(environment) == names


@pytest.mark.parametrize(
    ("environment", "excepted"),
    [
        ({"HTTP_PROXY": PROXY}, "127.0.0.1,localhost"),
        ({"HTTP_PROXY": PROXY, "NO_PROXY": "example.com"}, "example.com,127.0.0.1,localhost"),
        ({"HTTP_PROXY": PROXY, "no_proxy": "example.com"}, "example.com,127.0.0.1,localhost"),
    ],
)
def test_our_addresses_are_excepted_beside_those_that_were(
    environment: dict[str, str], excepted: str
) -> None:
    assert make_no_proxy_variables(environment) == {"NO_PROXY": excepted, "no_proxy": excepted}


def test_without_a_proxy_there_is_nothing_to_get_past() -> None:
    assert make_no_proxy_variables({"NO_PROXY": "example.com"}) == {}
