"""What every command is given: the settings and the store, opened when first used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from scheduler.domain.errors import AgentNotFound, GroupNotFound, SessionNotFound
from scheduler.domain.ids import is_name, is_session_id
from scheduler.domain.session import SessionData
from scheduler.service.starting import without_gc

# What a command needs of these is imported when it asks: an agent has settings of its own and no store.
if TYPE_CHECKING:
    from scheduler.bootstrap import Store
    from scheduler.settings import Settings
    from scheduler.store.audit import AuditRepository
    from scheduler.store.callbacks import CallbackRepository


@dataclass
class App:
    """One run of the command line."""

    redis_url: str | None = None
    namespace: str | None = None
    opened: Store | None = None

    def settings(self, **overrides: Any) -> Settings:
        """The settings in force. Raises InvalidSetting."""
        with without_gc():
            from scheduler.settings import load  # noqa: PLC0415

        return load(redis_url=self.redis_url, namespace=self.namespace, **overrides)

    @property
    def store(self) -> Store:
        """The store. Raises InvalidSetting, SchemaTooNew, StoreUnavailable."""
        if self.opened is None:
            with without_gc():
                from scheduler.bootstrap import open_for_app  # noqa: PLC0415

            self.opened = open_for_app(self.settings())
        return self.opened

    @property
    def store_of_any_layout(self) -> Store:
        """The store, for what brings its data up to date. Raises InvalidSetting."""
        if self.opened is None:
            with without_gc():
                from scheduler.bootstrap import open_store  # noqa: PLC0415

            self.opened = open_store(self.settings())
        return self.opened

    @property
    def audit(self) -> AuditRepository:
        """Pages for the doctor, and Redis' clock."""
        from scheduler.store.audit import AuditRepository  # noqa: PLC0415

        return AuditRepository(self.store.client, self.store.keys)

    @property
    def callbacks(self) -> CallbackRepository:
        """Outcomes that are to be posted."""
        return self.store.callbacks

    def session(self, session: str) -> SessionData:
        """One session. Raises SessionNotFound."""
        return self.store.sessions.get(checked_session(session))

    def groups(self, group: str | None) -> list[str]:
        """The one group that was named, or all. Raises GroupNotFound."""
        known = self.store.groups.names()
        if group is None:
            return known
        if group not in known:
            raise GroupNotFound(group=group, known=", ".join(known) or "none")
        return [group]

    def close(self) -> None:
        """Close the connections."""
        if self.opened is not None:
            self.opened.client.close()


pass_app = click.make_pass_decorator(App)


def checked_session(session: str) -> str:
    """An id that may become part of a key; other text is no session. Raises SessionNotFound."""
    if not is_session_id(session):
        raise SessionNotFound(session=session[:64])
    return session


def checked_agent(agent: str) -> str:
    """The same for an agent. Raises AgentNotFound."""
    if not is_name(agent):
        raise AgentNotFound(agent=agent[:64])
    return agent
