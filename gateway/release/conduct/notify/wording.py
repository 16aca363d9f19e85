"""What is sent to each kind of channel, and how it is signed. Pure.

DingTalk and Feishu sign with the same words in different roles: DingTalk keys the hash with the
secret, Feishu with the whole line and hashes nothing. Slack and WeCom sign nothing: whoever knows
the URL may post, so the URL is a secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from urllib.parse import quote_plus

import msgspec

from gateway.config.channel import Channel
from gateway.release.conduct.notify.notice import Notice, lines, title

JSON = "application/json; charset=utf-8"
SIGNATURE = "X-Graygate-Signature"


@dataclass(frozen=True, slots=True)
class Post:
    """One HTTP request, ready to be sent."""

    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def post_of(channel: Channel, notice: Notice, now: float) -> Post:
    """What a channel of any kind but email is sent."""
    url, secret = channel.url.reveal(), channel.secret.reveal()
    text = "\n".join([title(notice), *lines(notice)])
    match channel.kind:
        case "slack":
            content: object = {"text": f"*{_slack(title(notice))}*\n" + _slack_lines(notice)}
        case "dingtalk":
            url = _signed_for_dingtalk(url, secret, now)
            markdown = {"title": title(notice), "text": _markdown(notice)}
            content = {"msgtype": "markdown", "markdown": markdown}
        case "feishu":
            content = {"msg_type": "text", "content": {"text": text}, **_feishu(secret, now)}
        case "wecom":
            content = {"msgtype": "markdown", "markdown": {"content": _markdown(notice)}}
        case _:
            return _webhook(url, secret, notice, now)
    return Post(url, msgspec.json.encode(content), {"Content-Type": JSON})


def refusal_in(kind: str, body: bytes) -> str:
    """What a chat service says went wrong although it answered 200; "" when nothing did."""
    if kind not in ("dingtalk", "feishu", "wecom"):
        return ""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.MsgspecError:
        return "the answer is not the service's"
    code = answer.errcode or answer.code or answer.StatusCode
    return f"code {code}: {answer.errmsg or answer.msg}" if code else ""


class _Answer(msgspec.Struct):
    """How DingTalk and WeCom (errcode) and Feishu (code, of old StatusCode) answer."""

    errcode: int = 0
    errmsg: str = ""
    code: int = 0
    msg: str = ""
    StatusCode: int = 0


def signature(secret: str, body: bytes, now: float) -> str:
    """`t=SECONDS,v1=HEX`: HMAC-SHA256 over "SECONDS." and the body, as a receiver checks it."""
    stamp = str(int(now))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
    return f"t={stamp},v1={digest.hexdigest()}"


def _webhook(url: str, secret: str, notice: Notice, now: float) -> Post:
    content = {**msgspec.to_builtins(notice), "title": title(notice)}
    body = msgspec.json.encode(content)
    headers = {"Content-Type": JSON, "X-Graygate-Event": notice.event, "Idempotency-Key": notice.id}
    if secret:
        headers[SIGNATURE] = signature(secret, body, now)
    return Post(url, body, headers)


def _signed_for_dingtalk(url: str, secret: str, now: float) -> str:
    if not secret:
        return url
    stamp = str(int(now * 1000))
    digest = hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256).digest()
    sign = quote_plus(base64.b64encode(digest))
    return f"{url}{'&' if '?' in url else '?'}timestamp={stamp}&sign={sign}"


def _feishu(secret: str, now: float) -> dict[str, str]:
    if not secret:
        return {}
    stamp = str(int(now))
    digest = hmac.new(f"{stamp}\n{secret}".encode(), digestmod=hashlib.sha256).digest()
    return {"timestamp": stamp, "sign": base64.b64encode(digest).decode()}


def _slack(text: str) -> str:
    """The three characters by which Slack would take a text for a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _slack_lines(notice: Notice) -> str:
    *told, command = map(_slack, lines(notice))
    return "\n".join([*told, f"`{command}`"])


def _markdown(notice: Notice) -> str:
    *told, command = lines(notice)
    return "\n\n".join([f"### {title(notice)}", *told, f"`{command}`"])
