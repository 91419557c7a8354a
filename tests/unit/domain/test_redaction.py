"""What is shown of addresses, and texts from which secrets are taken out."""

from __future__ import annotations

import pytest

from scheduler.domain.redaction import (
    origin,
    secrets_in,
    shown_options,
    shown_url,
    without_secrets,
)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ci.example.org/hooks/t0ken?x=1", "https://ci.example.org/***"),
        ("https://CI.example.org:8443", "https://ci.example.org:8443"),
        ("http://user:pass@host/", "http://host"),
        ("http://[::1]:8080/x", "http://[::1]:8080/***"),
        ("slack://T123/B456/C789", "slack://***"),
        ("mailto://user:pass@example.org", "mailto://***"),
        ("https://host:port/x", "https://***"),
        ("t0ken", "***"),
    ],
)
def test_an_address_is_shown_by_where_it_leads(url: str, shown: str) -> None:
    assert shown == shown_url(url)


def test_options_are_shown_without_secrets() -> None:
    opts = {"url": "slack://T/B", "url_env": "OPS", "api_token": "x", "n": 3, "to": ["json://h/t"]}

    assert {
        "url": "slack://***",
        "url_env": "OPS",
        "api_token": "***",
        "n": 3,
        "to": ["json://***"],
    } == shown_options(opts)
    assert ["slack://T/B", "x", "json://h/t"] == secrets_in(opts)


def test_every_piece_of_an_address_is_taken_out_of_a_text_but_where_it_leads() -> None:
    url = "https://ci.example.org:8443/p4th/t%20ken?key=s3cret"
    text = f"GET {url}: 'p4th' and 't ken' and s3cret at https://ci.example.org:8443 failed"

    found = without_secrets(text, [url])

    assert found.endswith("at https://ci.example.org:8443 failed")
    assert not any(secret in found for secret in ("p4th", "t%20ken", "s3cret"))


def test_a_lane_is_scheme_host_and_port() -> None:
    assert "https://ci.example.org" == origin("HTTPS://CI.example.org/a?b#c")
