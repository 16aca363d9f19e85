"""Mail over real connections, private or not."""

from __future__ import annotations

import asyncio
import smtplib

import msgspec
import pytest

from gateway.config.secret import Secret
from gateway.release.conduct.notify.mail import message_of, send_mail
from tests.release.conduct.notify.receivers import NOTICE, mail, mailbox


async def test_a_message_is_handed_over_with_all_its_heads() -> None:
    async with mailbox() as box:
        await asyncio.to_thread(send_mail, mail(box), NOTICE, 5.0)
        (got,) = box.got
        assert got["From"] == "graygate@example.com"
        assert got["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
        assert got["Message-ID"]


async def test_nothing_is_sent_in_the_clear_where_it_must_be_private() -> None:
    async with mailbox() as box:
        for security, error in (("starttls", smtplib.SMTPException), ("tls", OSError)):
            channel = msgspec.structs.replace(
                mail(box), security=security, username="u", password=Secret("hush")
            )
            with pytest.raises(error):
                await asyncio.to_thread(send_mail, channel, NOTICE, 5.0)
        assert not box.got


async def test_a_line_break_in_a_name_cannot_add_a_head() -> None:
    async with mailbox() as box:
        notice = msgspec.structs.replace(NOTICE, route="chat\r\nBcc: x@example.com")
        message = message_of(mail(box), notice)
        assert message["Bcc"] is None
        assert "\n" not in message["Subject"]
