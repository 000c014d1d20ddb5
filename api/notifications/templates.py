"""The JSON bodies of robots as data: one TOML file each.

Owns reading and filling a template: `{id}`, `{subject}`, `{text}` and `{alarms}` inside any text of the body.
A text that is too long for the receiver loses whole lines at its end, and says so.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from monitoring.notifications.outbox import Message
from store.problem import Problem, ProblemsError

_MORE = "……其余请登录系统查看。"


class _Success(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str = Field(min_length=1)
    value: int | str | bool


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    form: Literal["sunledger-webhook-template/1"] = Field(alias="schema")
    label: str = Field(min_length=1)
    max_bytes: int = Field(ge=200, le=1_000_000)
    signature: Literal["", "dingtalk"] = ""
    success: _Success | None = None
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Template:
    """How one kind of robot wants its message: body, limit of the text [bytes], signature, sign of success.

    `success` is the field of the JSON answer and its value, None where any 2xx answer is one.
    """

    name: str
    label: str
    max_bytes: int
    signature: str
    success: tuple[str, int | str | bool] | None
    body: dict[str, Any]

    def fill(self, message: Message) -> dict[str, Any]:
        """Return the JSON body of a message."""
        subject = " ".join(message.subject.split())
        room = self.max_bytes - len(subject.encode()) - 1
        values = {
            "{id}": message.id,
            "{subject}": subject,
            "{text}": shortened(message.text, room),
            "{alarms}": str(message.alarms),
        }
        filled: dict[str, Any] = _filled(self.body, values)
        return filled


def _filled(node: Any, values: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(child, values) for key, child in node.items()}
    if isinstance(node, list):
        return [_filled(child, values) for child in node]
    if not isinstance(node, str):
        return node
    # Placeholders are split out first, so that a text with braces is never filled a second time.
    for place, value in values.items():
        if place in node:
            before, _, after = node.partition(place)
            return f"{_filled(before, values)}{value}{_filled(after, values)}"
    return node


def shortened(text: str, limit: int) -> str:
    """Return a text of at most `limit` bytes in UTF-8, cut at the end of a line where it can be."""
    if len(text.encode()) <= limit:
        return text
    room = limit - len(_MORE.encode()) - 1
    kept = text.encode()[: max(0, room)].decode(errors="ignore")
    whole, cut, _rest = kept.rpartition("\n")
    return f"{whole if cut else kept}\n{_MORE}"


def read_template(path: Path) -> Template:
    """Read one template file; raises ProblemsError with what is wrong in it."""
    try:
        document = _Document.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProblemsError([Problem(str(path), f"模板读不了：{error}", "检查路径和写法")]) from error
    except ValidationError as error:
        raise ProblemsError(
            [
                Problem(
                    f"{path.name} {'.'.join(str(part) for part in item['loc'])}",
                    item["msg"],
                    "对照自带的模板改正",
                )
                for item in error.errors()
            ]
        ) from error
    success = None if document.success is None else (document.success.field, document.success.value)
    return Template(path.stem, document.label, document.max_bytes, document.signature, success, document.body)


@cache
def shipped_templates() -> dict[str, Template]:
    """Return the shipped templates by name."""
    folder = Path(str(resources.files("api.notifications") / "templates"))
    return {path.stem: read_template(path) for path in sorted(folder.glob("*.toml"))}
