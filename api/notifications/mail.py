"""Mail over SMTP.

Owns the connection to the mail server and the shape of a mail. A mail carries the id of its message, so that
a mail system can drop the second of two equal ones.
"""

import smtplib
import ssl
from contextlib import ExitStack
from dataclasses import dataclass
from email.message import EmailMessage
from enum import StrEnum
from typing import Literal

from api.notifications.errors import SendError
from monitoring.notifications.outbox import Message

TIMEOUT_SECONDS = 20


class Security(StrEnum):
    """How the connection is protected: from the first byte, after a greeting, or not at all."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


@dataclass(frozen=True, slots=True, repr=False)
class MailServer:
    """The county's mail server and the address that mails come from."""

    host: str
    port: int
    sender: str
    security: Security = Security.STARTTLS
    user: str = ""
    password: str = ""
    certificate_authority: str = ""
    timeout: float = TIMEOUT_SECONDS

    def send(self, message: Message) -> None:
        """Send one message to its address; raises SendError when the server does not take it."""
        try:
            with self._open() as connection:
                connection.send_message(_mail(message, self.sender))
        except smtplib.SMTPAuthenticationError as error:
            raise SendError("邮件服务器不接受用户名或口令", unreachable=True) from error
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _text in error.recipients.values()})
            raise SendError(f"邮件服务器拒收这个收件人（{codes[0] if codes else '?'}）") from error
        except smtplib.SMTPResponseException as error:
            raise SendError(f"邮件服务器回答 {error.smtp_code}") from error
        except ssl.SSLError as error:
            raise SendError("邮件服务器的证书不被信任，或加密方式不符", unreachable=True) from error
        except (smtplib.SMTPException, TimeoutError) as error:
            raise SendError("邮件服务器没有按规矩回答，或超时", unreachable=True) from error
        except OSError as error:
            raise SendError("连不上邮件服务器", unreachable=True) from error

    def _open(self) -> smtplib.SMTP:
        context = ssl.create_default_context(cafile=self.certificate_authority or None)
        if self.security is Security.TLS:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, timeout=self.timeout, context=context
            )
        else:
            connection = smtplib.SMTP(self.host, self.port, timeout=self.timeout)
        with ExitStack() as unless_ready:
            unless_ready.callback(connection.close)
            if self.security is Security.STARTTLS:
                connection.starttls(context=context)
            if self.user:
                connection.login(self.user, self.password)
            unless_ready.pop_all()
        return connection


def _mail(message: Message, sender: str) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = " ".join(message.subject.split())
    mail["From"] = sender
    mail["To"] = message.target
    mail["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2] or 'sunledger'}>"
    mail["Auto-Submitted"] = "auto-generated"
    encoding: Literal["base64"] = "base64"
    mail.set_content(f"{message.text}\n\n编号 {message.id}\n", charset="utf-8", cte=encoding)
    return mail
