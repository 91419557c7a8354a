"""``scheduler doctor`` where somebody has overwritten a key: it names the key, and goes on with the rest."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import redis

from scheduler.domain.office import office_scopes
from scheduler.domain.states import SessionState as S
from scheduler.store.key_types import TYPES, KeyTypes
from scheduler.store.keys import Keys
from scheduler.store.schema import prepare
from tests.unit.cli.conftest import Run, Said
from tests.unit.store.lives import World

#: Of each family of keys the type that its docstring says; locks have their own lines in it.
FAMILIES = {
    name: kind
    for name, method in inspect.getmembers(Keys, inspect.isfunction)
    if (kind := (inspect.getdoc(method) or "").split(",")[0].split(" ")[0]) in TYPES
}
#: What the parameters of keys are in the namespace of these tests.
GIVEN = {
    "group": "default",
    "office": "acme",
    "role": "builder",
    "agent": "a1",
    "state": "READY",
    "kind": "keypair",
    "name": "k1",
    "job": "acme/builder",
    "day": "2026-11-01",
}
#: What the doctor looks at whatever else is spoilt; what it looks at in a group that is known; once it could count.
OF_ALL = {"redis", "schema", "keys", "scripts", "plugins", "offices", "indexes", "jobs", "limits"}
OF_GROUP = {f"{what} default" for what in ("leader of", "placing in", "plugins of", "agents of")}
COUNTED = {"records", "requests", "slots of default", "scopes"}


@pytest.fixture
def lived(world: World) -> World:
    prepare(world.client, world.keys, events_cap=1_000)
    world.office("acme", max_concurrent_jobs=1_000, roles=["builder"])
    for state in (S.PENDING, S.READY, S.RUNNING, S.SUCCEEDED):
        world.into(state, keypair="k1", scopes=office_scopes("acme", "builder"))
    world.submit(depends_on=[world.submit(priority=70)])
    world.mailbox().beat(world.boots["a1"], 60_000, claims=0, running=[])
    return world


def _key(world: World, family: str) -> str:
    """A key of a family: one that there is, or one that there may be."""
    method = getattr(world.keys, family)
    names = list(inspect.signature(method).parameters)
    shape = re.escape(method(*["\0"] * len(names))).replace(re.escape("\0"), "[^:]+")
    there = [key for key in sorted(world.client.scan_iter()) if re.fullmatch(shape, key)]
    if there:
        return str(there[0])
    session = world.sessions.list_ids("default", S.RUNNING, limit=1)[0]
    return str(method(*[GIVEN.get(name, session) for name in names]))


def _overwrite(client: redis.Redis, key: str, kind: str) -> str:
    client.delete(key)
    if kind == "string":
        client.rpush(key, "somebody's")
        return "list"
    client.set(key, "somebody's")
    return "string"


def _checks(said: Said) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in said.json["checks"]}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_key_of_another_type_is_named_and_hides_no_other_check(
    lived: World, run: Run, family: str
) -> None:
    """K20."""
    key, wanted = _key(lived, family), FAMILIES[family]
    found = _overwrite(lived.client, key, wanted)

    said = run("doctor", "-o", "json")
    checks = _checks(said)

    assert 1 == said.code
    says = f"{key} is a {found} and must be a {wanted}: somebody else has written there"
    assert says in checks["keys"]["says"]
    others = OF_ALL if family == "groups" else OF_ALL | OF_GROUP | COUNTED
    assert others <= checks.keys()


@pytest.mark.parametrize("family", ["schema", "state"])
def test_what_cannot_be_read_is_not_put_right(lived: World, run: Run, family: str) -> None:
    """Without an index, what its sessions count would be taken for too much."""
    use = lived.keys.scope_use()
    key = lived.keys.schema() if family == "schema" else lived.keys.state("default", S.RUNNING)
    lived.client.hset(use, "keypair k1", '{"pending":7}')
    _overwrite(lived.client, key, "hash")

    said = run("doctor", "--repair")

    assert 1 == said.code
    assert '{"pending":7}' == lived.client.hget(use, "keypair k1")


def test_an_index_that_is_gone_tells_nothing_of_requests(lived: World, run: Run) -> None:
    _overwrite(lived.client, lived.keys.state("default", S.READY), "zset")

    checks = _checks(run("doctor", "-o", "json"))

    assert "the index of READY in group default cannot be read" in checks["indexes"]["says"]
    assert ("WARNING", True) == (checks["requests"]["level"], checks["requests"]["ok"])


def test_where_nothing_is_spoilt_all_keys_are_well(lived: World, run: Run) -> None:
    checks = _checks(run("doctor", "-o", "json"))

    assert "all have the type they must have" == checks["keys"]["says"]
    assert OF_ALL | OF_GROUP | COUNTED <= checks.keys()
    assert lived.client.dbsize() > 30


def test_keys_of_others_are_none_of_its_business(lived: World, run: Run) -> None:
    others = (f"x{lived.keys.root}:groups", f"{lived.keys.root}x:groups", "groups")
    for key in others:
        lived.client.set(key, "theirs")

    assert [] == list(KeyTypes(lived.keys).mistyped(lived.client))
    assert _checks(run("doctor", "-o", "json"))["keys"]["ok"]
    lived.client.delete(*others)


def test_each_key_is_of_its_own_family() -> None:
    keys = Keys("n")
    types = KeyTypes(keys)

    assert ("hash", "zset") == (types.of(keys.callback("e1")), types.of(keys.callbacks_parked()))
    assert "string" == types.of(keys.idempotency("web/a:b:c"))
    assert "set" == types.of(keys.scope_members("user", "a:b"))
    assert ("hash", "string") == (types.of(keys.session("s")), types.of(keys.payload("s")))
    assert "" == types.of(keys.done("s")) == types.of("other:groups")
