"""Reads a plugin's options: by a pydantic model, with one sentence for what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from scheduler.domain.errors import InvalidSetting, InvalidSpec
from scheduler.domain.redaction import shown_options
from scheduler.domain.spec import duration_ms

#: Which of a group's options hold those of a scheduler, and those of a selector.
SCHEDULER_OPTS, SELECTOR_OPTS = "scheduler_opts", "agent_selector_opts"


def _milliseconds(value: Any) -> int:
    try:
        return duration_ms(value, "it")
    except InvalidSpec as error:
        raise ValueError(str(error.facts["problem"])) from error


#: An option that is a duration, as 30s, 1.5h or 7d; a bare number is seconds. Read as ms.
Duration = Annotated[int, BeforeValidator(_milliseconds)]


class PluginOptions(BaseModel):
    """What a plugin may be told; the base of every plugin's own options, and those of one without any."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Options = TypeVar("Options", bound=PluginOptions)


def read_options(
    model: type[Options], opts: Mapping[str, Any], plugin: str, setting: str
) -> Options:
    """The options of a plugin. Raises InvalidSetting with the first thing that is wrong."""
    try:
        return model.model_validate(dict(opts))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(model.model_fields)) or "none"
            problem = f"{plugin} has no option {name!r}; there are: {known}"
        else:
            says = first["msg"].removeprefix("Value error, ")
            says = says[:1].lower() + says[1:]
            # A check of ours may have told what it got already.
            given = shown_options({name: first["input"]})[name]
            got = "" if ", got " in says or not name else f", got {given!r:.80}"
            option = f"option {name!r} of {plugin}" if name else f"options of {plugin}"
            problem = f"{option}: {says}{got}"
        raise InvalidSetting(name=setting, problem=problem) from error
