"""Asks a Prometheus for one number; whatever is no number is no data, with the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from gateway.config.settings import Release

MOST_ANSWER_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """What a query found: a number, or why there is none."""

    value: float | None = None
    why: str = ""


class Prometheus:
    """One server; `ask` never raises but for being cancelled."""

    def __init__(self, settings: Release) -> None:
        self._url = settings.prometheus_url.rstrip("/")
        self._token = settings.prometheus_token
        self._seconds = settings.prometheus_seconds

    def __repr__(self) -> str:
        return f"<Prometheus at {self._url or 'nowhere'}>"

    async def ask(self, session: ClientSession, query: str) -> Sample:
        """The number that an instant query gives now."""
        if not self._url:
            return Sample(why="no Prometheus is set; name it with release.prometheus_url")
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token.reveal()}"
        try:
            async with session.post(
                f"{self._url}/api/v1/query",
                data={"query": query, "timeout": f"{self._seconds:g}s"},
                headers=headers,
                timeout=ClientTimeout(total=self._seconds),
                allow_redirects=False,
            ) as response:
                body = await response.content.read(MOST_ANSWER_BYTES)
        except TimeoutError:
            return Sample(why=f"Prometheus did not answer within {self._seconds:g} s")
        except (ClientError, OSError) as error:
            return Sample(why=f"Prometheus cannot be reached ({type(error).__name__})")
        return read_answer(response.status, body)


class _Series(msgspec.Struct):
    value: tuple[float, str]


class _Data(msgspec.Struct):
    resultType: str
    result: msgspec.Raw


class _Answer(msgspec.Struct):
    status: str = ""
    error: str = ""
    data: _Data | None = None


def read_answer(status: int, body: bytes) -> Sample:
    """The number in an answer of `/api/v1/query`."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
        if status != 200 or answer.status != "success" or answer.data is None:
            return Sample(why=f"Prometheus refuses the query: {answer.error[:200] or status}")
        if answer.data.resultType == "scalar":
            values = [msgspec.json.decode(answer.data.result, type=tuple[float, str])]
        elif answer.data.resultType == "vector":
            found = msgspec.json.decode(answer.data.result, type=list[_Series])
            values = [series.value for series in found]
        else:
            return Sample(why=f"the query gives a {answer.data.resultType[:20]}, not one number")
    except msgspec.MsgspecError:
        return Sample(why=f"what answers is no Prometheus (status {status})")
    if not values:
        return Sample(why="the query finds no series")
    if len(values) > 1:
        return Sample(why=f"the query finds {len(values)} series; make it one with sum or max")
    return _number(values[0][1])


def _number(text: str) -> Sample:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    return Sample(number) if math.isfinite(number) else Sample(why=f"its value is {text[:20]}")


def filled_in(query: str, names: Mapping[str, str]) -> str:
    """The query with `{version}` and its like replaced; other braces are PromQL's own."""
    for name, value in names.items():
        query = query.replace("{" + name + "}", value)
    return query
