"""Mail through a real mail server: encrypted, with a login, refused, and away."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.notifications.errors import SendError
from api.notifications.mail import MailServer, Security
from monitoring.notifications.subscriptions import Channel


class Box:
    """Keeps the mails; refuses one recipient, and fails when it is told to."""

    def __init__(self):
        self.mails = []
        self.answer = "250 OK"

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802, named by aiosmtpd
        if address.startswith("niemand"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802, named by aiosmtpd
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        return self.answer


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(pem) + private)
    return path


def _login(_server, _session, _envelope, _mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"bao", b"kou ling"), handled=False)


def _serving(box, port, **options) -> Controller:
    controller = Controller(box, hostname="127.0.0.1", port=port, **options)
    controller.start()
    return controller


@pytest.fixture
def protected(certificate, free_port) -> Iterator[tuple[Box, MailServer]]:
    """A server that wants STARTTLS and a login."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    box = Box()
    controller = _serving(
        box, free_port, tls_context=context, require_starttls=True, authenticator=_login, auth_required=True
    )
    yield (
        box,
        MailServer(
            "127.0.0.1",
            free_port,
            "zhangben@example.cn",
            Security.STARTTLS,
            "bao",
            "kou ling",
            str(certificate),
            5,
        ),
    )
    controller.stop()


@pytest.fixture
def plain(free_port) -> Iterator[tuple[Box, MailServer]]:
    box = Box()
    controller = _serving(box, free_port)
    yield box, MailServer("127.0.0.1", free_port, "zhangben@example.cn", Security.NONE, timeout=5)
    controller.stop()


@pytest.fixture
def mail(message):
    return replace(message, channel=Channel.EMAIL, target="xian@example.cn")


def test_a_mail_arrives_encrypted_after_a_login_and_reads_as_it_was_written(protected, mail) -> None:
    box, server = protected
    server.send(mail)
    ((to, arrived),) = box.mails
    assert to == ["xian@example.cn"]
    assert arrived["Subject"] == mail.subject
    assert arrived["Message-ID"] == "<message_1@example.cn>"
    assert "石坝村 2 号逆变器 停机 3 天 4 小时，约少收 186 元" in arrived.get_content()


def test_a_wrong_password_is_said_and_sends_nothing(protected, mail) -> None:
    box, server = protected
    with pytest.raises(SendError, match="不接受用户名或口令") as refused:
        replace(server, password="falsch").send(mail)
    assert refused.value.unreachable
    assert box.mails == []


def test_a_certificate_that_nobody_vouches_for_is_refused(protected, mail) -> None:
    box, server = protected
    with pytest.raises(SendError, match="证书"):
        replace(server, certificate_authority="").send(mail)
    assert box.mails == []


def test_a_server_without_starttls_gets_no_mail_in_clear(plain, mail) -> None:
    box, server = plain
    with pytest.raises(SendError):
        replace(server, security=Security.STARTTLS).send(mail)
    assert box.mails == []


def test_a_refused_recipient_is_that_mails_trouble_alone(plain, mail) -> None:
    box, server = plain
    with pytest.raises(SendError) as refused:
        server.send(replace(mail, target="niemand@example.cn"))
    assert not refused.value.unreachable
    assert "550" in str(refused.value)
    assert "niemand" not in str(refused.value)
    server.send(mail)
    assert len(box.mails) == 1


def test_a_server_that_is_busy_is_told_by_its_code(plain, mail) -> None:
    box, server = plain
    box.answer = "451 try later"
    with pytest.raises(SendError, match="451"):
        server.send(mail)


def test_a_server_that_is_away_is_unreachable(free_port, mail) -> None:
    server = MailServer("127.0.0.1", free_port, "zhangben@example.cn", Security.NONE, timeout=2)
    with pytest.raises(SendError) as refused:
        server.send(mail)
    assert refused.value.unreachable


def test_a_line_break_in_a_subject_makes_no_header(plain, mail) -> None:
    box, server = plain
    server.send(replace(mail, subject="告警\r\nBcc: spion@example.cn"))
    ((to, arrived),) = box.mails
    assert to == ["xian@example.cn"]
    assert arrived["Bcc"] is None
