"""The zygote: a small single-threaded process that forks shims on request.

The agent has threads and open connections, so it must not fork. This process has neither, starts by
exec, and adopts (as subreaper) what a killed shim leaves behind, kills it and says so.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agents import facts, shim
from agents.leash import Leash
from agents.monitor import Watch

_LARGEST: Final = 64 * 1024
_MOST_FDS: Final = 5
_IGNORED: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGPIPE,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


@dataclass(slots=True)
class Zygote:
    """Forks shims, buries them, cleans up after those that were killed."""

    agent: socket.socket
    leash: Leash
    scratch: Path
    grace_ns: int
    shims: dict[int, int] = field(default_factory=dict)  #: pid to number

    def serve(self) -> None:
        """Until the agent hangs up; then nothing of ours lives any more."""
        wakeup, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(self.agent, select.POLLIN)
        poll.register(wakeup, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if wakeup in ready:
                os.read(wakeup, 4096)
                self._bury(facts.reap())
            if self.agent.fileno() in ready and not self._listen((wakeup, writer)):
                facts.kill_descendants()
                return

    def _listen(self, own: tuple[int, ...]) -> bool:
        try:
            text, fds, _, _ = socket.recv_fds(self.agent, _LARGEST, _MOST_FDS)
        except ConnectionError:
            return False
        if not text:
            return False
        asked = json.loads(text)
        try:
            pid = os.fork()
        except OSError as error:
            self._say({"failed": asked["number"], "error": str(error)})
        else:
            if pid == 0:
                self._become_shim(asked, fds, own)
            self.shims[pid] = asked["number"]
            self._say({"born": asked["number"], "pid": pid})
        for fd in fds:
            os.close(fd)
        return True

    def _become_shim(self, asked: dict[str, Any], fds: list[int], own: tuple[int, ...]) -> None:
        signal.set_wakeup_fd(-1)
        self.agent.close()
        for fd in own:
            os.close(fd)
        for fd in fds:
            os.set_inheritable(fd, False)  # noqa: FBT003 - the standard library's signature
        agent, stdout, stderr, *child = fds
        shim.run(
            shim.Post(
                agent=socket.socket(fileno=agent),
                child=_sockets(*child) if child else None,
                stdout=stdout,
                stderr=stderr,
                leash=self.leash,
                row=self.leash.row(asked["row"]),
                scratch=self.scratch / str(asked["number"]),
                cgroup=Path(asked["cgroup"]) if asked["cgroup"] else None,
                grace_ns=self.grace_ns,
                watch=Watch(**asked["watch"]) if asked["watch"] else None,
            )
        )

    def _bury(self, ended: dict[int, int]) -> None:
        while gone := {pid: status for pid, status in ended.items() if pid in self.shims}:
            ended = {}
            # A shim that ended well promised that nothing is left; walking /proc is for the others.
            if any(gone.values()):
                ended = facts.kill_descendants(spare=self.shims.keys() - gone.keys())
            for pid, status in gone.items():
                number = self.shims.pop(pid)
                if status:
                    shutil.rmtree(self.scratch / str(number), ignore_errors=True)
                self._say({"gone": number})

    def _say(self, head: dict[str, Any]) -> None:
        try:
            self.agent.send(json.dumps(head).encode())
        except OSError:
            return  # it hung up, which the next poll tells


def _sockets(answers: int, requests: int) -> shim.ChildPost:
    return shim.ChildPost(socket.socket(fileno=answers), socket.socket(fileno=requests))


def _go_to(path: Path) -> None:
    """Find callables first where the agent was told, and ourselves, whom `-m` found, last."""
    own = sys.path.pop(0)
    sys.path.insert(0, str(path))
    if own not in sys.path:
        sys.path.append(own)
    os.chdir(path)


def main() -> None:
    """Arguments: the agent's socket, leash file, scratch directory, grace in ms, import path."""
    fd, leash, scratch, grace_ms, path = sys.argv[1:]
    for number in _IGNORED:
        # A supervisor that stops the agent may signal all its processes; only the agent decides.
        signal.signal(number, signal.SIG_IGN)
    _go_to(Path(path))
    facts.become_subreaper()
    facts.set_process_name("zygote")
    shim.freeze()
    agent = socket.socket(fileno=int(fd))
    agent.set_inheritable(False)
    Zygote(agent, Leash(Path(leash)), Path(scratch), int(grace_ms) * 1_000_000).serve()


if __name__ == "__main__":
    main()
