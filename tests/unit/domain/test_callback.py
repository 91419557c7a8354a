"""Where an outcome may be posted."""

from __future__ import annotations

import pytest

from scheduler.domain.callback import AllowedHosts, check_callback
from scheduler.domain.errors import InvalidSpec
from scheduler.domain.spec import SessionSpec

SECRET = "t0ken"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"ftp://host/{SECRET}", "must be an http or https address"),
        (f"https:///{SECRET}", "must be an http or https address"),
        (f"https://user:{SECRET}@host/", "leave user and password out"),
        (f"https://host:99999/{SECRET}", "it is no address"),
        (f"https://host:0/{SECRET}", "must be an http or https address"),
        (f"https://host/a b{SECRET}", "spaces or other characters"),
        (f"https://host/é{SECRET}", "spaces or other characters"),
        (f"https://host/{SECRET}" + "x" * 2_000, "the limit is 2000"),
        (f"http://169.254.169.254/{SECRET}", "where no callback may go"),
        (f"http://[fe80::1]/{SECRET}", "where no callback may go"),
        (f"http://[::ffff:169.254.169.254]/{SECRET}", "where no callback may go"),
        (f"http://0.0.0.0/{SECRET}", "where no callback may go"),
    ],
)
def test_a_bad_address_is_one_sentence_that_does_not_show_it(url: str, says: str) -> None:
    with pytest.raises(InvalidSpec, match=says) as refused:
        SessionSpec(callable="a:b", callback=url)

    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:8080/x", "https://ci.example.org/x?t=%20"])
def test_others_are_accepted(url: str) -> None:
    check_callback(url)


@pytest.mark.parametrize(
    ("patterns", "host", "address", "allowed"),
    [
        ((), "ci.example.org", "10.0.0.7", True),
        ((), "metadata.example.org", "169.254.169.254", False),
        ((), "metadata.example.org", "fd00:ec2::254", False),
        (("*.example.org",), "CI.example.org.", "10.0.0.7", True),
        (("*.example.org",), "example.com", None, False),
        (("*.example.org",), "ci.example.org", "169.254.169.254", False),
        (("169.254.10.1",), "169.254.10.1", "169.254.10.1", True),
        (("169.254.10.*",), "169.254.10.1", "169.254.10.1", False),
    ],
)
def test_what_a_name_leads_to_is_judged_too(
    patterns: tuple[str, ...], host: str, address: str | None, *, allowed: bool
) -> None:
    assert allowed is not bool(AllowedHosts(patterns).refusal_of(host, address))
