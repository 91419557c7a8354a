"""Every event of the stream is a typed model."""

from __future__ import annotations

from scheduler.domain.events import (
    CATALOGUE,
    Event,
    EventData,
    SessionCancelledEvent,
    SessionScheduledEvent,
    typed,
)


def test_an_entry_becomes_the_class_of_its_name() -> None:
    """K12."""
    fields = {"at": "99", "session": "s", "group": "g", "from": "READY", "verb": "place"}
    fields |= {"attempt": "2", "placement": "p", "agents": "a1 a2", "reason": ""}

    found = typed(EventData(7, 3, "session.scheduled", fields))

    assert isinstance(found, SessionScheduledEvent)
    assert ("7-3", 99, "s", "READY", 2, ("a1", "a2")) == (
        found.id,
        found.at_ms,
        found.session,
        found.previous,
        found.attempt,
        found.agents,
    )


def test_every_class_reads_an_entry_without_fields() -> None:
    for name, kind in CATALOGUE.items():
        assert type(typed(EventData(1, 1, name, {}))) is kind


def test_classes_are_called_as_their_events() -> None:
    assert CATALOGUE["session.cancelled"] is SessionCancelledEvent
    for name, kind in CATALOGUE.items():
        assert name.replace(".", "").replace("_", "") + "event" == kind.__name__.lower()


def test_an_event_of_another_version_is_not_lost() -> None:
    found = typed(EventData(1, 2, "session.frozen", {"at": "x"}))

    assert (Event, "session.frozen", 0) == (type(found), found.data.name, found.at_ms)
