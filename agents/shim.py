"""The shim: holds one kernel or warm child, and lets nothing of it outlive its right to run.

It is a subreaper, so whatever the kernel starts stays its descendant, in whatever session or
process group. It kills all of them when the agent hangs up, the lease runs out, the deadline
passes, the memory slot is exceeded, or the agent says stop; and tells the agent only when all are
dead. Where output is watched, it passes through the shim, too.
"""

from __future__ import annotations

import gc
import io
import os
import select
import shutil
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from agents import channel, facts
from agents.executors import callables, commands
from agents.leash import Leash, Row
from agents.limits import Cgroup, memory_used, memory_used_exactly
from agents.monitor import DONE, OutputMonitor, Watch

_NS: Final = 1_000_000_000
# A warm child's row may be armed at any time, without a message; so it is looked at this often.
_LOOK_NS: Final = _NS // 2
# Adding up memory walks all of /proc: never spend more than this share of a core on it.
_WATCH_SHARE: Final = 20
# The agent stops a kernel at its deadline. If it has not by now it hangs, and the shim does.
_AGENT_HANGS_NS: Final = 2 * _NS
#: What the agent says of a child whose channel it found closed, and of one that is needed no more.
HUNG_UP: Final = "hung_up"
RETIRED: Final = "retired"
# A process that dies closes its files first: only one that lives on after this has closed them itself.
_DYING_NS: Final = _NS // 5


@dataclass(frozen=True, slots=True)
class ChildPost:
    """A warm child's ends."""

    answers: socket.socket
    requests: socket.socket

    def close(self) -> None:
        """Leave them to the child."""
        self.answers.close()
        self.requests.close()


@dataclass(frozen=True, slots=True)
class Post:
    """What the zygote gives a shim."""

    agent: socket.socket
    child: ChildPost | None  #: the warm child's ends; None for a command
    stdout: int
    stderr: int
    leash: Leash
    row: Row
    scratch: Path
    cgroup: Path | None
    grace_ns: int
    watch: Watch | None = None  #: of the output of the one kernel it is for


@dataclass(slots=True)
class _Stop:
    """A stop under way: SIGTERM was sent, SIGKILL follows."""

    cause: str
    kill_at_ns: int
    serial: int


def run(post: Post) -> NoReturn:
    """Be the shim until all is over; the exit code 0 promises that nothing is left."""
    shim = Shim(post)
    code = 1
    try:
        shim.start()
        shim.watch()
        code = 0
    finally:
        # Not sys.exit(): the zygote's frames, buffers and exit handlers are not ours.
        os._exit(code)


class Shim:
    """One shim; single-threaded."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._kernel = 0
        self._status: int | None = None
        self._stop: _Stop | None = None
        self._watch_at = 0
        self._buffer = channel.Channel(post.agent)
        self._monitor: OutputMonitor | None = None
        self._outputs = (post.stdout, post.stderr)  #: what the kernel writes to

    def start(self) -> None:
        """Leave the zygote's session, and fork the warm child if that is what it holds."""
        os.setsid()
        facts.become_subreaper()
        facts.set_process_name("shim")
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = reader
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        if self._post.watch is not None:
            self._monitor = OutputMonitor(self._post.watch, *self._outputs)
            self._outputs = self._monitor.writers
        self._post.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._post.child is not None:
            self._kernel = self._fork_child(self._post.child)
            self._up()

    def _fork_child(self, post: ChildPost) -> int:
        pid = os.fork()
        if pid:
            post.close()
            self._close_outputs()
            return pid
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            self._post.agent.close()
            commands.prepare(*self._outputs, self._post.cgroup)
            self._close_outputs()
            if self._monitor is not None:
                self._monitor.let_go()
            facts.become_subreaper()
            facts.set_process_name("warm child")
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            # A person follows the log: lines as they are printed, not blocks.
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(line_buffering=True)
            callables.serve(post.requests, post.answers)
            code = 0
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
        finally:
            os._exit(code)

    def _close_outputs(self) -> None:
        # The agent reads to the end of these pipes: nobody but the kernel may hold them open.
        for fd in self._outputs:
            os.close(fd)

    def watch(self) -> None:
        """Serve until the kernel is over and all is dead."""
        poll = select.poll()
        poll.register(self._buffer.fileno(), select.POLLIN)
        poll.register(self._wakeup, select.POLLIN)
        self._pass_on(poll)
        while self._status is None:
            ready = [fd for fd, _ in poll.poll(self._pause_ms())]
            if self._wakeup in ready:
                os.read(self._wakeup, 4096)
                self._status = facts.reap().get(self._kernel) if self._kernel else None
            if self._buffer.fileno() in ready and not self._listen():
                break
            self._pass_on(poll)
            if self._look():
                break
        self._finish()

    def _pass_on(self, poll: select.poll) -> None:
        if self._monitor is not None:
            self._monitor.pass_on(poll, look=self._by_itself)

    def _listen(self) -> bool:
        """Hear the agent; False when it hung up or the kernel could not be started."""
        if not self._buffer.read():
            return False
        for frame in self._buffer.frames():
            if "run" in frame.head and not self._start_command(frame.head["run"]):
                return False
            if "stop" in frame.head:
                self._begin_stop(frame.head["stop"], frame.head["grace_ms"] * 1_000_000)
        return True

    def _start_command(self, asked: dict[str, Any]) -> bool:
        command = commands.Command(
            asked["words"],
            asked["env"],
            self._post.scratch,
            asked["address_space"],
            self._post.cgroup,
        )
        try:
            self._kernel = commands.start(command, *self._outputs)
        except (commands.NotStartedError, OSError) as error:
            self._close_outputs()
            self._say({"failed": str(error)})
            return False
        self._close_outputs()
        if self._monitor is not None:
            self._monitor.begin()
        self._up()
        return True

    def _up(self) -> None:
        self._say({"up": self._kernel})

    def _begin_stop(self, cause: str, grace_ns: int) -> None:
        now = facts.boottime_ns()
        grace_ns = grace_ns if self._kernel else 0
        if cause == HUNG_UP:
            self._stop = self._stop or _Stop(cause, now + _DYING_NS, self._post.row.serial)
            return
        if self._stop is None:
            self._stop = _Stop(cause, now + grace_ns, self._post.row.serial)
            if grace_ns:
                facts.send_signal(facts.descendants([os.getpid()]), signal.SIGTERM)
        self._stop.kill_at_ns = min(self._stop.kill_at_ns, now + grace_ns)

    @property
    def _by_itself(self) -> bool:
        """Whether nothing of ours ended the kernel: what it prints is its own word."""
        return self._stop is None or self._stop.cause in (HUNG_UP, RETIRED)

    def _look(self) -> bool:
        """Whether all must be killed now."""
        now = facts.boottime_ns()
        row, serial = self._post.row, self._post.row.serial
        if self._stop is not None:
            return now >= self._stop.kill_at_ns
        if self._monitor is not None and self._kernel and (said := self._monitor.says(now)):
            self._begin_stop(said, self._post.grace_ns)
            return False
        if now >= self._post.leash.until_ns and not (serial and row.keep):
            return self._condemn("lease")
        if serial and row.deadline_ns and now >= row.deadline_ns + _AGENT_HANGS_NS:
            self._begin_stop("timed_out", self._post.grace_ns)
        if serial and row.memory and now >= self._watch_at:
            return self._exceeds(row, serial)
        return False

    def _exceeds(self, row: Row, serial: int) -> bool:
        began = facts.boottime_ns()
        limit, mine = row.memory, facts.descendants([os.getpid()])
        over = memory_used(mine) > limit and memory_used_exactly(mine) > limit
        now = facts.boottime_ns()
        self._watch_at = now + max(_LOOK_NS, (now - began) * _WATCH_SHARE)
        # What was measured must still be what is held.
        return over and row.serial == serial and self._condemn("out_of_memory")

    def _condemn(self, cause: str) -> bool:
        self._stop = _Stop(cause, 0, self._post.row.serial)
        return True

    def _pause_ms(self) -> int:
        """Until the next moment at which something may be due."""
        now = facts.boottime_ns()
        due = now + _LOOK_NS
        if self._monitor is not None:
            due = min(due, self._monitor.due_ns)
        if self._stop is not None:
            due = min(due, self._stop.kill_at_ns)
        elif not self._post.row.keep:
            due = min(due, self._post.leash.until_ns)
        return max(0, -(-(due - now) // 1_000_000))

    def _finish(self) -> None:
        """Kill what is left, confirm it, clean up, tell."""
        ended = facts.kill_descendants()
        cause = self._stop.cause if self._stop else ""
        if cause == HUNG_UP and self._status is not None:
            cause = ""  # it was dying by itself
        if self._monitor is not None:
            self._monitor.finish(look=self._by_itself)
            cause = DONE if self._by_itself and self._monitor.done else cause
        if self._kernel and self._status is None:
            self._status = ended.get(self._kernel, signal.SIGKILL)
        if self._post.cgroup is not None:
            group = Cgroup(self._post.cgroup)
            cause = cause or ("out_of_memory" if group.ran_out_of_memory() else "")
            group.remove()
        shutil.rmtree(self._post.scratch, ignore_errors=True)
        if self._kernel:
            code = os.waitstatus_to_exitcode(self._status or 0)
            serial = self._stop.serial if self._stop else 0
            self._say({"dead": cause, "code": code, "serial": serial})
        else:
            self._say({"dead": cause, "code": 0, "serial": 0})

    def _say(self, head: dict[str, Any]) -> None:
        # Small, and the agent reads all the time: it fits, or the agent is gone.
        self._buffer.send(head)


def freeze() -> None:
    """Keep the collector from touching, and so copying, memory shared with the zygote."""
    gc.collect()
    gc.freeze()
