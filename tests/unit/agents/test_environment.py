"""The environment of kernels."""

from __future__ import annotations

from agents.executors import environment
from agents.facts import MARKER
from scheduler.protocol.order import StartOrder


def order(**fields: object) -> StartOrder:
    given: dict[str, object] = {
        "agent": "a1",
        "boot": "b" * 32,
        "group": "default",
        "session": "0" * 26,
        "kernel": 0,
        "placement": "c" * 32,
        "attempt": 2,
        "name": "nightly",
        "keypair": "",
        "slots": {"cpu": 1000},
        "timeout_ms": 1000,
        "payload_sha256": "",
        "on_lost": "rerun",
        **fields,
    }
    return StartOrder(**given)  # type: ignore[arg-type]


def test_the_base_passes_little_on_and_no_secret() -> None:
    own = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "SCHEDULER_SECRET": "s",
        "SCHEDULER_REDIS_URL": "redis://u:p@h",
        "AWS_SECRET_ACCESS_KEY": "k",
        "LD_PRELOAD": "evil.so",
    }

    expected = {"PATH": "/bin", "LC_ALL": "C", "LANG": "C.UTF-8", "HOME": "/", MARKER: "boot"}
    assert expected == environment.base(own, "boot")


def test_devices_are_told_in_order_of_their_index() -> None:
    slots = {"cpu": 1000, "cuda.10": 1000, "cuda.2": 1000, "rocm.0": 460, "mem": 64}
    found = environment.of_kernel(order(slots=slots), {}, "/scratch")

    assert "cuda.2,cuda.10,rocm.0" == found["SESSION_DEVICES"]
    assert "2,10" == found["CUDA_VISIBLE_DEVICES"]


def test_who_asked_for_no_device_sees_none() -> None:
    assert "" == environment.of_kernel(order(), {}, "/scratch")["CUDA_VISIBLE_DEVICES"]


def test_a_session_cannot_hide_who_it_is() -> None:
    asked = {"SESSION_ID": "forged", "TMPDIR": "/mine", "SESSION_SCRATCH": "/forged"}
    found = environment.of_kernel(order(), asked, "/scratch")

    assert ("0" * 26, "/mine", "/scratch") == (
        found["SESSION_ID"],
        found["TMPDIR"],
        found["SESSION_SCRATCH"],
    )


def test_rank_and_role() -> None:
    first = environment.of_kernel(order(hosts=["a", "b"]), {}, "/s")
    second = environment.of_kernel(order(kernel=1, hosts=["a", "b"]), {}, "/s")

    assert ("2", "0", "main", "a,b") == _cluster(first)
    assert ("2", "1", "sub", "a,b") == _cluster(second)


def _cluster(env: dict[str, str]) -> tuple[str, str, str, str]:
    return (
        env["CLUSTER_SIZE"],
        env["CLUSTER_RANK"],
        env["CLUSTER_ROLE"],
        env["CLUSTER_HOSTS"],
    )
