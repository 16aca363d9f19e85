"""What each kind of channel is sent, and how it is signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from gateway.config.channel import Channel
from gateway.config.secret import Secret
from gateway.release.conduct.notify.notice import MOST_TEXT
from gateway.release.conduct.notify.wording import post_of, refusal_in, signature
from tests.release.conduct.notify.receivers import NOTICE

NOW = 1_599_360_473.5


def channel(kind: str, secret: str = "", url: str = "https://chat.example.com/robot") -> Channel:
    return Channel(name="c", kind=kind, url=Secret(url), secret=Secret(secret))  # type: ignore[arg-type]  # a kind


def content(kind: str, secret: str = "") -> Any:
    return msgspec.json.decode(post_of(channel(kind, secret), NOTICE, NOW).body)


def test_a_webhook_gets_all_of_the_notice() -> None:
    post = post_of(channel("webhook"), NOTICE, NOW)
    got = msgspec.json.decode(post.body)
    assert got.pop("title") == "ROLLED BACK: chat, v1 to v2"
    assert got == msgspec.to_builtins(NOTICE)
    assert post.headers["Idempotency-Key"] == "r1-7"
    assert post.headers["X-Graygate-Event"] == "rollback"
    assert "X-Graygate-Signature" not in post.headers


def test_a_webhook_is_signed_over_the_time_and_the_very_bytes() -> None:
    post = post_of(channel("webhook", "hush"), NOTICE, NOW)
    digest = hmac.new(b"hush", b"1599360473." + post.body, hashlib.sha256).hexdigest()
    assert post.headers["X-Graygate-Signature"] == f"t=1599360473,v1={digest}"
    assert signature("hush", post.body, NOW) != signature("hush", post.body + b" ", NOW)
    assert signature("hush", post.body, NOW) != signature("hush", post.body, NOW + 1)


def test_slack_gets_text_in_which_nothing_is_a_link_or_a_mention() -> None:
    text = content("slack")["text"]
    assert text.startswith("*ROLLED BACK: chat, v1 to v2*\n")
    assert "&lt;failed&gt; &amp; more" in text
    assert "`graygate release status chat`" in text


def test_dingtalk_is_signed_in_the_url() -> None:
    post = post_of(
        channel("dingtalk", "SECabc", "https://chat.example.com/robot/send?access_token=t"),
        NOTICE,
        NOW,
    )
    query = parse_qs(urlsplit(post.url).query)
    digest = hmac.new(b"SECabc", b"1599360473500\nSECabc", hashlib.sha256).digest()
    assert query == {
        "access_token": ["t"],
        "timestamp": ["1599360473500"],
        "sign": [base64.b64encode(digest).decode()],
    }
    got = msgspec.json.decode(post.body)
    assert got["msgtype"] == "markdown"
    assert got["markdown"]["title"] == "ROLLED BACK: chat, v1 to v2"
    assert "sign" not in post_of(channel("dingtalk"), NOTICE, NOW).url


def test_feishu_is_signed_in_the_body() -> None:
    got = content("feishu", "hush")
    digest = hmac.new(b"1599360473\nhush", b"", hashlib.sha256).digest()
    assert (got["timestamp"], got["sign"]) == ("1599360473", base64.b64encode(digest).decode())
    assert got["msg_type"] == "text"
    assert "12 of 40" in got["content"]["text"]
    assert "sign" not in content("feishu")


def test_wecom_gets_markdown() -> None:
    got = content("wecom")
    assert got["msgtype"] == "markdown"
    assert got["markdown"]["content"].startswith("### ROLLED BACK: chat, v1 to v2\n")


@pytest.mark.parametrize("kind", ["slack", "dingtalk", "feishu", "wecom"])
def test_a_long_text_is_cut_before_the_service_does_it(kind: str) -> None:
    notice = msgspec.structs.replace(NOTICE, text="x" * 50_000)
    assert len(post_of(channel(kind), notice, NOW).body) < MOST_TEXT + 500


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("dingtalk", b'{"errcode":0,"errmsg":"ok"}', ""),
        ("dingtalk", b'{"errcode":310000,"errmsg":"sign not match"}', "310000: sign not match"),
        ("wecom", b'{"errcode":93000,"errmsg":"invalid webhook url"}', "93000: invalid"),
        ("feishu", b'{"code":0,"msg":"success","data":{}}', ""),
        ("feishu", b'{"code":19021,"msg":"sign match fail"}', "19021: sign match fail"),
        ("feishu", b'{"StatusCode":0,"StatusMessage":"success"}', ""),
        ("feishu", b"<html>", "not the service's"),
        ("slack", b"ok", ""),
        ("webhook", b"whatever", ""),
    ],
)
def test_a_service_may_refuse_with_status_200(kind: str, body: bytes, said: str) -> None:
    found = refusal_in(kind, body)
    assert said in found
    assert bool(found) is bool(said)
