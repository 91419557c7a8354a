"""The generated parts of the docs: each stands between two marks, and is made from the code it describes."""

import argparse
import inspect
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import click

from agents.settings import AgentSettings
from scheduler.api.app import Access, create_app
from scheduler.bootstrap import open_store
from scheduler.cli.app import cli
from scheduler.domain import errors, events, states
from scheduler.domain.states import SESSION_LIFE, SessionState
from scheduler.settings import Settings
from scheduler.store.keys import Keys
from scheduler.store.script import LUA_ROOT

DOCS = Path("docs")
_BLOCK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _mermaid(life: tuple[states.Edge, ...]) -> str:
    return f"```mermaid\n{states.diagram(life)}\n```"


def _session_verbs() -> str:
    rows = []
    for edge in SESSION_LIFE:
        source, target = ", ".join(sorted(edge.sources)) or "-", ", ".join(sorted(edge.targets))
        rows.append(f"| {edge.verb} | {source} | {target} | {edge.by} | {edge.says} |")
    return "\n".join(["| verb | from | to | by | says |", "|---|---|---|---|---|", *rows])


def _states() -> str:
    source = inspect.getsource(SessionState)
    rows = re.findall(r"(\w+) = \"\w+\"  #: (.+)", source)
    return "\n".join(
        ["| state | meaning |", "|---|---|", *[f"| {name} | {says} |" for name, says in rows]]
    )


def _keys() -> str:
    rows = []
    for name, method in inspect.getmembers(Keys, inspect.isfunction):
        if name.startswith("_") or name == "lock_name":
            continue
        shown = getattr(Keys("NS"), name)(
            *[f"<{p}>" for p in list(inspect.signature(method).parameters)[1:]]
        )
        rows.append(f"| `{shown}` | {inspect.getdoc(method)} |")
    return "\n".join(["| key | what |", "|---|---|", *sorted(rows)])


def _events() -> str:
    rows = [f"| `{name}` | {event.says} |" for name, event in events.CATALOGUE.items()]
    return "\n".join(["| event | the session, agent, leader ... |", "|---|---|", *rows])


def _errors() -> str:
    tree = (errors.__doc__ or "").partition("\n\n")[2]
    return f"```\n{tree.strip()}\n```"


_SETTING = re.compile(
    r"(?P<above>(?:^    #: .+\n)*)^    (?P<name>[a-z_]+): [^\n]*?(?:  #: (?P<beside>.+))?$",
    re.MULTILINE,
)


def _settings() -> str:
    rows: dict[str, list[str]] = {}
    for model, who in ((Settings, "scheduler"), (AgentSettings, "agents")):
        says = {
            found["name"]: " ".join(re.findall("#: (.+)", found["above"])) or found["beside"] or ""
            for found in _SETTING.finditer(inspect.getsource(model))
        }
        for name, field in model.model_fields.items():
            default = "" if field.default in (None, "") else f"`{_shown(field.default)}`"
            row = rows.setdefault(name, [default, who, says.get(name, "")])
            if who not in row[1]:
                row[1] += f", {who}"
    lines = [
        f"| `SCHEDULER_{name.upper()}` | {' | '.join(row)} |" for name, row in sorted(rows.items())
    ]
    return "\n".join(["| variable | default | read by | meaning |", "|---|---|---|---|", *lines])


def _shown(default: object) -> str:
    # Agents keep seconds as numbers.
    return f"{default:g}s" if isinstance(default, float) else str(default)


def _cli() -> str:
    return "\n\n".join(_help_of(cli, click.Context(cli, info_name="scheduler")))


def _help_of(command: click.Command, context: click.Context) -> list[str]:
    if not isinstance(command, click.Group):
        return [f"## `{context.command_path}`\n```\n{command.get_help(context)}\n```"]
    parts = []
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if found is not None and not found.hidden:
            parts += _help_of(
                found, click.Context(found, info_name=name, parent=context, terminal_width=100)
            )
    return parts


def _scripts() -> str:
    rows = []
    for path in sorted(LUA_ROOT.glob("*/*.lua")):
        if path.parent.name == "lib":
            continue
        text = path.read_text()
        says = re.match(r"-- (.+)", text)
        words = re.search(r"^-- @(?:reply|item)\s+(.+)$", text, re.MULTILINE)
        name = path.relative_to(LUA_ROOT).with_suffix("")
        rows.append(
            f"| `{name}` | {says[1] if says else ''} | {words[1].replace(' | ', ', ') if words else ''} |"
        )
    return "\n".join(["| script | what | answers |", "|---|---|---|", *rows])


def _openapi() -> str:
    app = create_app(
        open_store(Settings()),
        Access(rate="1/second", body_limit=1_024, streams=1, streams_per_key=1),
    )
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False) + "\n"


#: Files that are generated as a whole.
WHOLE: dict[Path, Callable[[], str]] = {DOCS / "openapi.json": _openapi}

PARTS: dict[str, Callable[[], str]] = {
    "session-life": lambda: _mermaid(states.SESSION_LIFE),
    "kernel-life": lambda: _mermaid(states.KERNEL_LIFE),
    "session-verbs": _session_verbs,
    "session-states": _states,
    "keys": _keys,
    "events": _events,
    "errors": _errors,
    "settings": _settings,
    "scripts": _scripts,
    "cli": _cli,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/generate", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if something is stale"
    )
    check = parser.parse_args().check
    stale = []
    for path in sorted([*DOCS.glob("*.md"), Path("README.md")]):
        before = path.read_text()
        after = _BLOCK.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}\n{found[3]}", before)
        if after != before:
            stale.append(str(path))
            if not check:
                path.write_text(after)
    for path, made in WHOLE.items():
        text = made()
        if not path.exists() or path.read_text() != text:
            stale.append(str(path))
            if not check:
                path.write_text(text)
    if stale:
        print(
            f"{'stale' if check else 'written'}: {', '.join(stale)}",
            file=sys.stderr if check else sys.stdout,
        )
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
