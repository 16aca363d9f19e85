"""Mail through an SMTP server; blocking, so it runs in a thread."""

from __future__ import annotations

import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from gateway.config.channel import Channel
from gateway.release.conduct.notify.notice import Notice, lines, title


def message_of(channel: Channel, notice: Notice) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = " ".join(f"[graygate] {title(notice)}".split())
    message["From"] = channel.sender
    message["To"] = ", ".join(channel.to)
    message["Date"] = format_datetime(datetime.fromtimestamp(notice.at, UTC))
    message["Message-ID"] = make_msgid(domain="graygate")
    message["X-Graygate-Notice"] = notice.id
    message.set_content("\n".join(lines(notice)) + "\n")
    return message


def send_mail(channel: Channel, notice: Notice, seconds: float) -> None:
    """Hand the message over, or raise OSError or smtplib.SMTPException."""
    context = ssl.create_default_context() if channel.security != "none" else None
    with _connect(channel, seconds, context) as server:
        if channel.security == "starttls":
            server.starttls(context=context)
        if channel.username:
            server.login(channel.username, channel.password.reveal())
        server.send_message(message_of(channel, notice))


def _connect(channel: Channel, seconds: float, context: ssl.SSLContext | None) -> smtplib.SMTP:
    if channel.security == "tls":
        return smtplib.SMTP_SSL(channel.host, channel.port or 465, timeout=seconds, context=context)
    port = channel.port or (587 if channel.security == "starttls" else 25)
    return smtplib.SMTP(channel.host, port, timeout=seconds)
