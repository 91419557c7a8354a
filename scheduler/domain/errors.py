"""Every error a user can meet, as one tree; a class is a sentence with its facts.

SchedulerError
|-- InvalidInput              exit 2   what was asked makes no sense as written
|   |-- InvalidSpec           ...of a session
|   |-- InvalidGraph          ...of sessions that depend on each other
|   |-- InvalidSlots          ...of a slot name, unit or amount
|   |-- InvalidSetting        ...of a setting or option
|   `-- UnknownPlugin         ...of a scheduler, selector or validator
|-- NotFound                  exit 3
|   |-- SessionNotFound
|   |-- GraphNotFound
|   |-- AgentNotFound
|   |-- GroupNotFound
|   |-- RevisionNotFound
|   |-- ReplicaNotFound
|   |-- NoJob                 it is a session of no office
|   |-- DependencyNotFound
|   |-- DesignatedAgentNotFound
|   |-- SubscriberNotFound
|   |-- OfficeNotFound
|   |-- KeyNotFound           ...of an API key
|   `-- LogsNotFound
|-- Refused                   exit 4   understood, and not done
|   |-- IdempotencyConflict
|   |-- Unsatisfiable
|   |-- PendingLimitReached   a scope lets no more sessions wait
|   |-- WrongState
|   |-- NotHeld
|   |-- GraphGivenUp          its app took too long to load it
|   |-- RecordSpoilt          what Redis holds of a session makes no sense
|   |-- GroupExists
|   |-- GroupInUse
|   |-- OfficeExists
|   |-- OfficeInUse
|   |-- GroupOnRecord         its ended sessions are not forgotten yet
|   |-- GroupAwaited          ...and cannot be, since others wait for them
|   |-- OfficeOnRecord        its ended jobs are not forgotten yet
|   |-- OfficeAwaited         ...and cannot be, since others wait for them
|   |-- OfficeRevisionConflict
|   |-- SessionRevisionConflict
|   |-- RevisionConflict      somebody else changed it meanwhile
|   |-- AgentInUse
|   |-- AgentBeats            ...so it is not lost
|   |-- SubscriberExists
|   |-- KeyRefused            no API key, or one that is not known or was revoked
|   |-- NotAllowed            the key may not do this
|   |-- RedisFull
|   |-- RedisUnsuitable
|   |-- SchemaTooNew
|   |-- SchemaTooOld
|   |-- MigrationRefused
|   |-- NoLeader
|   `-- Deposed               the leader's own: its term is over
|-- StoreUnavailable          exit 5   Redis did not answer
|   `-- RedisRefuses          ...or answered that it will not serve us: password, read-only replica
|-- SessionFailed             exit 1   the session ended, and not well
|-- GraphFailed               exit 1   ...or not all of a graph did
|-- WaitTimeout               exit 124 it did not end in the time given
|-- BadMessage                a forged or broken order or report
`-- ScriptError               a defect of ours: a script and its caller disagree
"""

from __future__ import annotations


class SchedulerError(Exception):
    """Something the scheduler refuses to do."""

    def __init__(self, **facts: object) -> None:
        super().__init__(sentence((type(self).__doc__ or "").format(**facts)))
        self.facts = facts


def of_graph(error: SchedulerError, job: str) -> SchedulerError:
    """The same refusal, saying which job of a graph it is about: its name, as it may stand in a sentence."""
    says = str(error).removeprefix("The session was not submitted: ")
    error.args = (f"The graph was not submitted: job {job}: {says}",)
    error.facts |= {"job": job}
    return error


def sentence(text: str) -> str:
    """The text with one stop at its end, whatever its last fact ended with."""
    text = text.rstrip().rstrip(".").rstrip()
    return text if text.endswith(("?", "!")) else f"{text}."


class InvalidInput(SchedulerError):
    """Bad input: {problem}."""


class InvalidSpec(InvalidInput):
    """The session was not submitted: {problem}."""


class InvalidGraph(InvalidInput):
    """The graph was not submitted: {problem}."""


class InvalidSlots(InvalidInput):
    """Bad slots: {problem}."""


class InvalidSetting(InvalidInput):
    """Bad setting {name}: {problem}."""


class UnknownPlugin(InvalidInput):
    """There is no {kind} named {name!r}; installed are: {known}."""


class NotFound(SchedulerError):
    """{what} was not found."""


class SessionNotFound(NotFound):
    """Session {session} is not known here; it may have been forgotten after its retention."""


class GraphNotFound(NotFound):
    """Graph {graph} is not known here; `scheduler graph list` shows those that are."""


class AgentNotFound(NotFound):
    """Agent {agent} is not known here; `scheduler agent list` shows those that are."""


class GroupNotFound(NotFound):
    """Scaling group {group!r} does not exist; known groups: {known}."""


class RevisionNotFound(NotFound):
    """Group {group!r} has no revision {revision}; `scheduler group history {group}` shows those that are kept."""


class ReplicaNotFound(NotFound):
    """Replica {replica!r} leads no scaling group now; leaders are: {known}."""


class NoJob(NotFound):
    """Session {session} is of no office and no job; `scheduler session` has commands for it."""


class DependencyNotFound(NotFound):
    """The session was not submitted: it depends on {session}, which is not known here."""


class SubscriberNotFound(NotFound):
    """Subscriber {name!r} does not exist; `scheduler subscriber list` shows those that do."""


class OfficeNotFound(NotFound):
    """Office {office!r} does not exist; `scheduler office create {office}` makes it."""


class KeyNotFound(NotFound):
    """API key {key} does not exist; `scheduler key list` shows those that do."""


class DesignatedAgentNotFound(NotFound):
    """The session was not submitted: group {group!r} has no agent {agent}, where it is to run; known are: {known}."""


class LogsNotFound(NotFound):
    """Session {session} has no logs: {why}."""


class Refused(SchedulerError):
    """Refused: {why}."""


class IdempotencyConflict(Refused):
    """Idempotency key {key!r} belongs to session {session}, which was asked with another spec."""


class Unsatisfiable(Refused):
    """The session was not submitted: it asks for {need}, and no agent of group {group!r} has that, even when idle."""


class PendingLimitReached(Refused):
    """{says}."""


class WrongState(Refused):
    """Session {session} is {state}; {verb} works only in {allowed}."""


class NotHeld(Refused):
    """Session {session} is not held by a dependency that did not succeed; there is nothing to release."""


class GraphGivenUp(Refused):
    """Graph {graph} was given up while it was loaded, as if its app had died: {why}; nothing of it is left."""


class RecordSpoilt(Refused):
    """Session {session} cannot be read: {what}; somebody else has written there."""


class GroupExists(Refused):
    """Scaling group {group!r} exists already; `scheduler group set {group}` changes it."""


class OfficeExists(Refused):
    """Office {office!r} exists already; `scheduler office set {office}` changes it."""


class OfficeInUse(Refused):
    """Office {office!r} cannot be deleted: {waiting} of its jobs wait and {placed} are placed; cancel them first."""


class OfficeOnRecord(Refused):
    """Office {office!r} has {jobs} ended jobs on record; deleting it with `--forget` (?forget=true) forgets them."""


class OfficeAwaited(Refused):
    """Office {office!r} cannot be deleted: sessions that are not its own wait for {jobs} of its jobs."""


class OfficeRevisionConflict(Refused):
    """Office {office!r} is at revision {found}, not {expected}: somebody changed it meanwhile; nothing was written."""


class SessionRevisionConflict(Refused):
    """Session {session} is at revision {found}, not {expected}: it changed meanwhile; nothing was written."""


class SubscriberExists(Refused):
    """Subscriber {name!r} exists with another kind, options or events; remove it first."""


class KeyRefused(Refused):
    """The request was refused: {why}."""


class NotAllowed(Refused):
    """Not allowed: {why}."""


class GroupInUse(Refused):
    """Scaling group {group!r} cannot be deleted: it has {holds}."""


class GroupOnRecord(Refused):
    """Scaling group {group!r} has {sessions} ended sessions on record; deleting it with `--forget` forgets them."""


class GroupAwaited(Refused):
    """Scaling group {group!r} cannot be deleted: other sessions wait for {sessions} of its ended ones."""


class RevisionConflict(Refused):
    """Group {group!r} is at revision {found}, not {expected}: somebody changed it meanwhile; nothing was written."""


class AgentInUse(Refused):
    """Agent {agent} still beats or runs kernels ({kernels}); stop it, or say `scheduler agent lost {agent}` first."""


class AgentBeats(Refused):
    """Agent {agent} beats, {ago} s ago: its kernels live, and would run twice; drain or stop it, or `--force` it."""


class RedisFull(Refused):
    """Redis has used {used_percent} % of its maxmemory, submits are refused from 80 % on; nothing was written."""


class RedisUnsuitable(Refused):
    """This Redis cannot be used: {why}."""


class SchemaTooNew(Refused):
    """The data in namespace {namespace!r} has layout {found}, this program knows up to {known}: update the program."""


class SchemaTooOld(Refused):
    """The data in namespace {namespace!r} has layout {found}, and {known} is needed: run `scheduler migrate`."""


class MigrationRefused(Refused):
    """The data in namespace {namespace!r} cannot be brought to layout {known} now: {why}."""


class NoLeader(Refused):
    """Group {group!r} has no leader now; start a replica with `scheduler replica run --group {group}`."""


class Deposed(Refused):
    """Term {term} of group {group!r} is over: another replica leads now."""


class StoreUnavailable(SchedulerError):
    """Redis at {url} does not answer: {why}."""


class RedisRefuses(StoreUnavailable):
    """Redis at {url} cannot be used: {why}."""


class SessionFailed(SchedulerError):
    """Session {session} ended {state}: {reason}."""


class GraphFailed(SchedulerError):
    """Not all jobs of graph {graph} succeeded: {counts}."""


class WaitTimeout(SchedulerError):
    """Session {session} did not end within {seconds} s; it is {state}."""


class BadMessage(SchedulerError):
    """A message was dropped: {why}."""


class ScriptError(SchedulerError):
    """Script {script}: {problem}."""
