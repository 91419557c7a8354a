"""The API on the command line: what it refuses to start with."""

from __future__ import annotations

import socket

import pytest

from tests.unit.cli.conftest import Run


def test_a_port_that_is_taken_is_one_sentence(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = run("api", "run", "--port", str(port))

    assert 4 == refused.code
    assert f"127.0.0.1:{port} cannot be listened on: Address already in use." in refused.err


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org"])  # noqa: S104 - refused
def test_without_keys_it_serves_this_machine_only(run: Run, host: str) -> None:
    """J7."""
    refused = run("api", "run", "--host", host, "--insecure")

    assert 2 == refused.code
    assert f"everybody who reaches {host} could do everything" in refused.err
