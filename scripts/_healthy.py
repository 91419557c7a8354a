"""Waits until all that ecosystem.config.js starts is ready; says who is not. Its argument: s."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from threading import Event
from time import monotonic

ROOT = Path(__file__).parents[1]
LOOK_S = 0.2
_ASK = "console.log(JSON.stringify(require('./ecosystem.config.js').health))"


def why_not(url: str) -> str:
    """Why the process there is not ready, as a sentence; empty where it is."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2):  # noqa: S310 - our own pages
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return str(json.load(error).get("why") or "it does not say why")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{url}/health does not answer ({error})"


def main() -> int:
    """Look at all until all are ready, or time is over; the exit code."""
    within = float(sys.argv[1])
    asked = subprocess.run(
        ["node", "-e", _ASK],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    processes: list[tuple[str, str]] = json.loads(asked.stdout)
    deadline = monotonic() + within
    while late := {name: why for name, url in processes if (why := why_not(url))}:
        if monotonic() > deadline:
            for name, why in late.items():
                print(f"{name} is not ready after {within:g} s: {why}", file=sys.stderr)
            print("`node_modules/.bin/pm2 logs` shows what they say.", file=sys.stderr)
            return 1
        Event().wait(LOOK_S)
    for name, url in processes:
        print(f"{name:<10} {url}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
