# It stands in for what it wraps, and is no module of a package.
# ruff: noqa: ANN001, ANN206, TID251
# mypy: ignore-errors
"""Makes this interpreter's wall clock wrong by CLOCK_SKEW_S seconds; Python imports it at its start.

It stands in for libfaketime, which is not everywhere: whatever Python code asks for the wall clock
gets the wrong one. Monotonic clocks, as with a wrong wall clock in life, go right.
"""

import datetime as dt
import os
import time

_SKEW_S = int(os.environ.get("CLOCK_SKEW_S", "0"))
_time, _time_ns, _clock_gettime = time.time, time.time_ns, time.clock_gettime
_Datetime = dt.datetime


class _SkewedDatetime(_Datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(time.time(), dt.UTC).replace(tzinfo=None)


if _SKEW_S:
    time.time = lambda: _time() + _SKEW_S
    time.time_ns = lambda: _time_ns() + _SKEW_S * 1_000_000_000
    time.clock_gettime = lambda clock: (
        _clock_gettime(clock) + (_SKEW_S if clock == time.CLOCK_REALTIME else 0)
    )
    dt.datetime = _SkewedDatetime
