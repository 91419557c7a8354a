"""The environment of kernels: a small clean base, and the session's own variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agents.facts import MARKER
from scheduler.protocol.names import KernelEnv
from scheduler.protocol.order import StartOrder

#: Passed on from the agent's own environment. Nothing else is: it holds the agent's key.
PASSED_ON: Final = (
    "HOME",
    "LANG",
    "LOGNAME",
    "PATH",
    "PYTHONPATH",
    "SHELL",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
)
_PASSED_ON_PREFIX: Final = "LC_"
_DEFAULTS: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/"}
#: Where a callable may write; a command is started there.
SCRATCH: Final = "SESSION_SCRATCH"


def base(own: Mapping[str, str], boot: str) -> dict[str, str]:
    """What every process of this agent finds: a few variables, and the mark for the sweep."""
    kept = {
        name: value
        for name, value in own.items()
        if name in PASSED_ON or name.startswith(_PASSED_ON_PREFIX)
    }
    return {**_DEFAULTS, **kept, MARKER: boot}


def of_kernel(order: StartOrder, asked: Mapping[str, str], scratch: str) -> dict[str, str]:
    """What one kernel finds beside the base; what the session asked for never hides who it is."""
    devices = sorted((slot for slot in order.slots if "." in slot), key=_by_index)
    size = max(len(order.hosts), 1)
    return {
        "TMPDIR": scratch,
        "CUDA_VISIBLE_DEVICES": ",".join(
            slot.partition(".")[2] for slot in devices if slot.startswith("cuda.")
        ),
        **asked,
        SCRATCH: scratch,
        KernelEnv.SESSION_ID: order.session,
        KernelEnv.SESSION_ATTEMPT: str(order.attempt),
        KernelEnv.SESSION_GROUP: order.group,
        KernelEnv.SESSION_NAME: order.name,
        KernelEnv.SESSION_DEVICES: ",".join(devices),
        KernelEnv.CLUSTER_SIZE: str(size),
        KernelEnv.CLUSTER_RANK: str(order.kernel),
        KernelEnv.CLUSTER_ROLE: "main" if order.kernel == 0 else "sub",
        KernelEnv.CLUSTER_HOSTS: ",".join(order.hosts),
    }


def _by_index(slot: str) -> tuple[str, int]:
    family, _, index = slot.partition(".")
    return family, int(index) if index.isdigit() else 0
