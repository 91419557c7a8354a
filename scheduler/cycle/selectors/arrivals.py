"""What sessions ask for, learned as they arrive: how popular each kind of accelerator request is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scheduler.domain.request import Request
from scheduler.domain.slots import DEVICE
from scheduler.plugins.interfaces import Candidate

#: Layout of the text that is kept.
_VERSION: Final = 1
#: Kinds that are told apart; beyond that the rarest half is forgotten.
_KINDS: Final = 512
#: When what was learned is taken into use: soon at first, then each time it has doubled.
_REFRESH: Final = (1, 10, 30, 100)


@dataclass(frozen=True, slots=True)
class Kind:
    """What one kernel asks of accelerators and of the cpu beside them."""

    cpu: int  #: milli
    family: str
    share: int  #: milli of each device; 1000 for whole ones
    count: int  #: devices
    models: tuple[str, ...]  #: accepted; () for any

    @property
    def milli(self) -> int:
        """What it holds of accelerators."""
        return self.share * self.count

    def accepts(self, family: str, model: str) -> bool:
        """Whether it can use a device."""
        return family == self.family and (not self.models or model in self.models)


def kinds_of(request: Request) -> list[Kind]:
    """The kinds of a request's kernels; kernels without accelerators have none."""
    found = []
    for kernel in request.kernels:
        for name, amount in kernel.items():
            family, dot, kind = name.partition(".")
            if not dot:
                continue
            share, count = (amount, 1) if kind == "shares" else (DEVICE, amount)
            models = tuple(sorted(request.constraints.models.get(family, ())))
            found.append(Kind(kernel.get("cpu", 0), family, share, count, models))
    return found


class Arrivals:
    """Counts kinds as they arrive. Old arrivals fade: from ``memory`` on all counts are halved."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self.counts: dict[Kind, int] = {}
        self.total = 0
        self._next = _REFRESH[0]
        self._step_from = 0
        #: Up to which session a former term counted; they arrive again when a term loads the queue.
        self._known, self._seen = -1, -1

    def learn(self, arrived: Sequence[Candidate]) -> bool:
        """Count what arrived; whether it is time to take the counts into use."""
        for candidate in arrived:
            if candidate.seq <= self._known:
                continue
            self._seen = max(self._seen, candidate.seq)
            for kind in kinds_of(candidate.request):
                self.counts[kind] = self.counts.get(kind, 0) + 1
                self.total += 1
        if self.total < self._next:
            return False
        self._forget()
        steps = [step for step in _REFRESH if step > self.total]
        # Never later than a tenth of the memory: what people ask for changes in the end.
        self._next = steps[0] if steps else self.total + min(self.total, max(1, self._memory // 10))
        return True

    def _forget(self) -> None:
        if len(self.counts) > _KINDS:
            common = sorted(self.counts.items(), key=lambda item: (-item[1], repr(item[0])))
            self.counts = dict(common[: _KINDS // 2])
        if self.total >= self._memory:
            self.counts = {kind: half for kind, n in self.counts.items() if (half := n // 2)}
        self.total = sum(self.counts.values())

    def text(self) -> str:
        """All that was learned."""
        kinds = [
            [kind.cpu, kind.family, kind.share, kind.count, list(kind.models), count]
            for kind, count in self.counts.items()
        ]
        return json.dumps(
            {"version": _VERSION, "seen": self._seen, "kinds": kinds}, separators=(",", ":")
        )

    def restore(self, text: str) -> None:
        """Go on from what was learned before. Raises ValueError for what another version wrote."""
        found = json.loads(text)
        if not isinstance(found, Mapping) or found.get("version") != _VERSION:
            raise ValueError(f"it is not of version {_VERSION}")
        try:
            counts = {
                Kind(int(cpu), str(family), int(share), int(count), tuple(models)): int(n)
                for cpu, family, share, count, models, n in found["kinds"]
            }
            seen = int(found["seen"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"it cannot be read: {error!r}") from error
        for kind, n in counts.items():
            # They become places in tables.
            if not (kind.cpu >= 0 and 0 < kind.share <= DEVICE and kind.count > 0 and n > 0):
                raise ValueError(f"it counts {n} of what nobody can ask for: {kind}")
        self.counts, self.total = counts, sum(counts.values())
        self._known = self._seen = seen
        self._next = 0
