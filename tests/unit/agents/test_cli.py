"""The agent's commands, as far as they do not start one."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from agents.cli import agent
from agents.entry import WrongWorkerError, run_order
from scheduler.protocol import signing
from scheduler.protocol.names import ENTRY_FUNCTION

SECRET = "a secret for tests only"


def call(*arguments: str, obj: object = None, **env: str) -> Result:
    clean = {"SCHEDULER_SECRET": None, "SCHEDULER_AGENT_KEY": None, "SCHEDULER_NAMESPACE": None}
    return CliRunner(env={**clean, **env}).invoke(agent, arguments, obj=obj)


def test_key_prints_the_agents_own_key() -> None:
    said = call("key", "--id", "a1", "--namespace", "n", SCHEDULER_SECRET=SECRET)

    assert (0, signing.agent_key(SECRET, "n", "a1")) == (said.exit_code, said.output.strip())


def test_the_parent_commands_namespace_holds_unless_one_is_given() -> None:
    said = call("key", "--id", "a1", obj={"namespace": "parent"}, SCHEDULER_SECRET=SECRET)

    assert signing.agent_key(SECRET, "parent", "a1") == said.output.strip()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["key", "--id", "a1"], "SCHEDULER_SECRET"),
        (["run", "--id", "a1", "--slots", "cpu=4"], "scheduler agent key"),
        (["run", "--id", "a1", "--slots", "cpu=nothing"], "is not a positive number"),
        (["run", "--id", "a1", "--slots", "cpu=4", "--label", "x"], "NAME=VALUE"),
        (["run", "--id", "a1", "--slots", "cpu=4", "--label", "x=a|b"], "has control characters"),
        (["run", "--id", "a1", "--slots", "cpu=4", "--label", "x=\n"], "has control characters"),
        (["run", "--id", "a1", "--slots", "cpu=4", "--label", "cuda.model=V100"], "as cuda=8:V100"),
        (
            ["run", "--id", "a1", "--slots", "cpu=4", "--label", "x=a", "--label", "x=b"],
            "given twice",
        ),
        (["run", "--id", "a b", "--slots", "cpu=4"], "expected letters"),
        (["run", "--id", "a1", "--slots", "cpu=4", "--path", "/nowhere"], "no directory /nowhere"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_2(arguments: list[str], says: str) -> None:
    said = call(*arguments)

    assert 2 == said.exit_code
    assert says in said.output
    assert 1 == len(said.output.splitlines())


def test_a_stock_worker_is_told_whose_order_it_took() -> None:
    with pytest.raises(WrongWorkerError, match="scheduler agent run --id a1"):
        run_order("a1", "some-order")


def test_the_entry_function_is_where_rq_jobs_say() -> None:
    assert ENTRY_FUNCTION == f"{run_order.__module__}.{run_order.__qualname__}"
