"""What the operator has configured for messages: a mail server, and named webhooks.

Owns reading `webhooks.toml` and choosing the sender of a message. The addresses of robots hold keys, so they
live in that file alone and are never printed.
"""

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.notifications.errors import SendError
from api.notifications.mail import MailServer, Security
from api.notifications.templates import shipped_templates
from api.notifications.webhook import NOWHERE, Reach, Webhook
from api.settings import Settings
from monitoring.notifications.outbox import Message
from monitoring.notifications.subscriptions import Channel
from store.problem import Problem, ProblemsError

WEBHOOKS_FILE = "webhooks.toml"


class _WebhookDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")
    template: str
    url: str = Field(min_length=1, max_length=2000)
    secret: str = ""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    webhook: tuple[_WebhookDocument, ...] = ()


@dataclass(frozen=True, slots=True)
class Channels:
    """The mail server, None where there is none, the robots by name, and where robots may be."""

    mail: MailServer | None = None
    webhooks: Mapping[str, Webhook] = field(default_factory=dict)
    reach: Reach = NOWHERE

    def send(self, message: Message) -> None:
        """Send one message over its channel; raises SendError."""
        if message.channel is Channel.EMAIL:
            if self.mail is None:
                raise SendError("没有设置邮件服务器（smtp_host）", unreachable=True)
            self.mail.send(message)
            return
        webhook = self.webhooks.get(message.target)
        if webhook is None:
            raise SendError("webhooks.toml 中没有这个机器人", unreachable=True)
        webhook.send(message, self.reach)

    def server_of(self, message: Message) -> str:
        """Return which server a message needs, so that one that is down is asked once a turn."""
        return "mail" if message.channel is Channel.EMAIL else f"webhook:{message.target}"


def channels_of(settings: Settings) -> Channels:
    """Return what is configured; raises ProblemsError with everything that is wrong in it."""
    mail = None
    if settings.smtp_host:
        mail = MailServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            sender=settings.smtp_from,
            security=Security(settings.smtp_security),
            user=settings.smtp_user,
            password=settings.smtp_password,
            certificate_authority=settings.smtp_certificate_authority,
        )
    reach = Reach(settings.webhook_hosts, settings.webhook_networks)
    return Channels(mail, read_webhooks(settings.data_dir / WEBHOOKS_FILE, reach), reach)


def read_webhooks(path: Path, reach: Reach) -> dict[str, Webhook]:
    """Return the robots of a file by name, none where there is no file.

    Raises ProblemsError when the file is wrong, can be read by others, or names a host that is not allowed.
    """
    if not path.exists():
        return {}
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ProblemsError([Problem(str(path), "别人也能读，里面有机器人的密钥", f"运行 chmod 600 {path}")])
    try:
        document = _Document.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProblemsError([Problem(str(path), f"读不了：{error}", "检查路径、编码和写法")]) from error
    except ValidationError as error:
        raise ProblemsError(
            [
                Problem(
                    f"{path.name} {'.'.join(str(part) for part in item['loc'])}",
                    "写得不对或缺少",
                    "每个 [[webhook]] 要有 name、template、url，加签的另有 secret",
                )
                for item in error.errors()
            ]
        ) from error
    return _checked(path, document, reach)


def _checked(path: Path, document: _Document, reach: Reach) -> dict[str, Webhook]:
    templates = shipped_templates()
    problems: list[Problem] = []
    found: dict[str, Webhook] = {}
    for one in document.webhook:
        where = f"{path.name} {one.name}"
        if one.name in found:
            problems.append(Problem(where, "名称重复", "每个机器人起一个名称"))
        if one.template not in templates:
            problems.append(Problem(where, f"没有模板 {one.template}", f"可以是：{'、'.join(templates)}"))
            continue
        if not reach.names(urlsplit(one.url).hostname or ""):
            problems.append(
                Problem(
                    where,
                    "主机不在允许的名单内",
                    "把主机名加进设置 webhook_hosts，或网段加进 webhook_networks",
                )
            )
        found[one.name] = Webhook(one.name, one.url, templates[one.template], one.secret)
    if problems:
        raise ProblemsError(problems)
    return found
