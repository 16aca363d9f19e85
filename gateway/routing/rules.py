"""Rules: ordered conditions on a request, written by operators as JSON.

    {"when": {"header": {"x-plan": ["gold", "plus"]}, "not": {"segment": "staff"}}, "version": "v2"}

Everything in a `when` must hold; one without any key always holds.

    header, cookie, query       object: name -> matcher (see matchers.py)
    path, host, method, model   matcher; a path is seen in its canonical form
    unit                        matcher on the unit's id
    ip                          a network or a list of them: "10.0.0.0/8"
    segment                     the name of a segment or a list: the unit is in one of them
    share                       {"percent": 20, "salt": "exp1"}: that part of all units, by hash
    any                         a list of whens: one of them holds
    not                         a when that does not hold

`segment` and `share` do not hold for a request without a unit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping
from ipaddress import IPv6Network, ip_network
from types import MappingProxyType

from gateway.routing.bucket import Intervals, allocate, bucket, natural_key, threshold
from gateway.routing.facts import RequestFacts
from gateway.routing.lists import segment_name
from gateway.routing.matchers import MAX_LISTED, MAX_TEXT, PatternBudget, compile_matcher, equal_to
from gateway.routing.spec import RuleSpec
from gateway.routing.suggest import suggest

MAX_DEPTH = 8
MAX_CONDITIONS = 200

Lists = Mapping[str, Container[bytes]]
NO_LISTS: Lists = MappingProxyType({})

Condition = Callable[[RequestFacts, bytes | None], bool]


class Rule:
    """A compiled rule: `holds` says whether it applies, `version` or `intervals` what follows."""

    __slots__ = ("holds", "intervals", "name", "version")

    def __init__(
        self, name: str, holds: Condition, version: str | None, intervals: Intervals
    ) -> None:
        self.name = name
        self.holds = holds
        self.version = version  # None = split by `intervals`, stable takes the rest
        self.intervals = intervals

    def __repr__(self) -> str:
        return f"<Rule {self.name!r} -> {self.version or self.intervals!r}>"


def compile_rule(
    spec: RuleSpec,
    versions: Collection[str],
    lists: Lists = NO_LISTS,
    *,
    stable: str = "",
    patterns: PatternBudget | None = None,
) -> Rule:
    """Raises ValueError with one sentence that names the position of what is wrong.

    A segment that `lists` does not hold is empty. `patterns` bounds what several rules cost.
    """
    holds = _Compiler(lists, patterns).when(spec.when, "when", 1)
    if (spec.version is None) == (spec.weights is None):
        raise ValueError("A rule needs exactly one of version and weights.")
    for name in (spec.version,) if spec.version is not None else spec.weights or {}:
        if name not in versions:
            raise ValueError(f"{name!r} is no version of this route.{suggest(name, versions)}")
    candidates = sorted((name for name in versions if name != stable), key=natural_key)
    weights = {name: percent for name, percent in (spec.weights or {}).items() if name != stable}
    return Rule(spec.name, holds, spec.version, allocate(candidates, weights))


def segments_of(when: Mapping[str, object]) -> frozenset[str]:
    """The segments that a `when` asks for; it need not be valid."""
    return frozenset(
        name
        for key, value in _walk(when)
        if key == "segment"
        for name in (value if isinstance(value, list) else [value])
        if isinstance(name, str)
    )


def reads(when: Mapping[str, object], keyword: str) -> bool:
    """Whether a `when` asks for `keyword` anywhere; it need not be valid."""
    return any(key == keyword for key, _ in _walk(when))


def headers_of(when: Mapping[str, object]) -> frozenset[str]:
    """The names of the request headers that a `when` looks at; it need not be valid."""
    names: set[str] = set()
    for key, value in _walk(when):
        if key == "header" and isinstance(value, Mapping):
            names.update(value)
        elif key == "cookie":
            names.add("cookie")
    return frozenset(names)


def _walk(when: object, depth: int = 0) -> Iterator[tuple[str, object]]:
    if not isinstance(when, Mapping) or depth > MAX_DEPTH:
        return
    for key, value in when.items():
        yield key, value
        if key == "not":
            yield from _walk(value, depth + 1)
        if key == "any" and isinstance(value, list):
            for inner in value:
                yield from _walk(inner, depth + 1)


class _Compiler:
    """Compiles one rule's `when`, counting its conditions."""

    def __init__(self, lists: Lists, patterns: PatternBudget | None = None) -> None:
        self._lists = lists
        self._conditions = 0
        self._budget = PatternBudget(within=patterns)
        self._keywords: dict[str, Callable[[object, str, int], Condition]] = {
            "header": lambda value, where, depth: self._named(value, where, _header),
            "cookie": lambda value, where, depth: self._named(value, where, _cookie),
            "query": lambda value, where, depth: self._named(value, where, _parameter),
            "path": lambda value, where, depth: _path(value, where, self._budget),
            "host": lambda value, where, depth: _host(value, where, self._budget),
            "method": lambda value, where, depth: _method(value, where, self._budget),
            "model": lambda value, where, depth: _model(value, where, self._budget),
            "unit": lambda value, where, depth: _unit(value, where, self._budget),
            "ip": lambda value, where, depth: _ip(value, where),
            "segment": lambda value, where, depth: self._segment(value, where),
            "share": lambda value, where, depth: _share(value, where),
            "any": self._any,
            "not": self._not,
        }

    def when(self, when: object, where: str, depth: int) -> Condition:
        if not isinstance(when, Mapping):
            raise ValueError(f"{where}: must be an object of conditions.")
        if depth > MAX_DEPTH:
            raise ValueError(f"{where}: conditions are nested deeper than {MAX_DEPTH}.")
        return _all([self._one(key, value, where, depth) for key, value in when.items()])

    def _one(self, key: str, value: object, where: str, depth: int) -> Condition:
        keyword = self._keywords.get(key)
        if keyword is None:
            raise ValueError(f"{where}: {key!r} is no condition.{suggest(key, self._keywords)}")
        self._count(where)
        return keyword(value, f"{where}.{key}", depth)

    def _count(self, where: str) -> None:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise ValueError(f"{where}: a rule may hold {MAX_CONDITIONS} conditions at most.")

    def _named(
        self,
        value: object,
        where: str,
        make: Callable[[str, object, str, PatternBudget], Condition],
    ) -> Condition:
        if not isinstance(value, Mapping) or not value:
            raise ValueError(f"{where}: must be an object of names and what they must be.")
        conditions = []
        for name, matcher in value.items():
            self._count(where)
            conditions.append(make(name, matcher, f"{where}.{name}", self._budget))
        return _all(conditions)

    def _segment(self, value: object, where: str) -> Condition:
        named: list[object] = value if isinstance(value, list) else [value]
        names = [name for name in named if isinstance(name, str) and name]
        if not names or len(names) != len(named) or len(names) > MAX_LISTED:
            raise ValueError(f"{where}: must be the name of a segment or a list of names.")
        keys = [segment_name(name) for name in names]
        segments = tuple(self._lists[key] for key in keys if key in self._lists)
        return lambda facts, unit: unit is not None and any(unit in held for held in segments)

    def _any(self, value: object, where: str, depth: int) -> Condition:
        if not isinstance(value, list) or not value:
            raise ValueError(f"{where}: must be a list of at least one object of conditions.")
        whens = tuple(
            self.when(when, f"{where}[{index}]", depth + 1) for index, when in enumerate(value)
        )
        return lambda facts, unit: any(holds(facts, unit) for holds in whens)

    def _not(self, value: object, where: str, depth: int) -> Condition:
        inner = self.when(value, where, depth + 1)
        return lambda facts, unit: not inner(facts, unit)


def _all(conditions: list[Condition]) -> Condition:
    if len(conditions) == 1:
        return conditions[0]
    if len(conditions) == 2:
        first, second = conditions
        return lambda facts, unit: first(facts, unit) and second(facts, unit)
    every = tuple(conditions)
    return lambda facts, unit: all(holds(facts, unit) for holds in every)


def _header(name: str, matcher: object, where: str, budget: PatternBudget) -> Condition:
    key = name.lower().encode()
    test = compile_matcher(matcher, where, budget)
    wanted = equal_to(matcher)
    if wanted is not None:  # by far the most frequent condition: spares a call
        value = wanted.encode()
        return lambda facts, unit: facts.headers.get(key) == value
    return lambda facts, unit: test(facts.headers.get(key))


def _cookie(name: str, matcher: object, where: str, budget: PatternBudget) -> Condition:
    key = name.encode()
    test = compile_matcher(matcher, where, budget)
    return lambda facts, unit: test(facts.cookies.get(key))


def _parameter(name: str, matcher: object, where: str, budget: PatternBudget) -> Condition:
    key = name.encode()
    test = compile_matcher(matcher, where, budget)
    return lambda facts, unit: test(facts.parameters.get(key))


def _path(matcher: object, where: str, budget: PatternBudget) -> Condition:
    test = compile_matcher(matcher, where, budget)
    return lambda facts, unit: test(facts.path)


def _host(matcher: object, where: str, budget: PatternBudget) -> Condition:
    test = compile_matcher(matcher, where, budget, str.lower)
    return lambda facts, unit: test(facts.host)


def _method(matcher: object, where: str, budget: PatternBudget) -> Condition:
    test = compile_matcher(matcher, where, budget, str.upper)
    return lambda facts, unit: test(facts.method.encode())


def _model(matcher: object, where: str, budget: PatternBudget) -> Condition:
    test = compile_matcher(matcher, where, budget)
    return lambda facts, unit: test(None if facts.model is None else facts.model.encode())


def _unit(matcher: object, where: str, budget: PatternBudget) -> Condition:
    test = compile_matcher(matcher, where, budget)
    return lambda facts, unit: test(unit)


def _ip(value: object, where: str) -> Condition:
    texts = value if isinstance(value, list) else [value]
    if not texts or len(texts) > MAX_LISTED:
        raise ValueError(f"{where}: must list 1 to {MAX_LISTED} networks.")
    networks: dict[tuple[int, int], set[int]] = {}  # (IP version, mask) -> network numbers
    for text in texts:
        version, mask, number = _network(text, where)
        networks.setdefault((version, mask), set()).add(number)
    masks = tuple((version, mask, numbers) for (version, mask), numbers in networks.items())

    def is_inside(facts: RequestFacts, unit: bytes | None) -> bool:
        version, number = facts.address
        return any(
            number & mask in numbers for of_version, mask, numbers in masks if of_version == version
        )

    return is_inside


def _network(text: object, where: str) -> tuple[int, int, int]:
    """(IP version, mask, network number); an IPv4 network written as IPv6 counts as IPv4."""
    try:
        if not isinstance(text, str):
            raise ValueError
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(
            f"{where}: {text!r} is no network; write 10.0.0.0/8, 2001:db8::/32 or one address."
        ) from None
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        return 4, int(network.netmask) & 0xFFFFFFFF, int(mapped)
    return network.version, int(network.netmask), int(network.network_address)


def _share(value: object, where: str) -> Condition:
    if not isinstance(value, Mapping) or set(value) != {"percent", "salt"}:
        raise ValueError(f'{where}: must be an object such as {{"percent": 20, "salt": "exp1"}}.')
    percent, salt = value["percent"], value["salt"]
    is_number = isinstance(percent, int | float) and not isinstance(percent, bool)
    if not is_number or not 0 <= percent <= 100:
        raise ValueError(f"{where}.percent: must be a number from 0 to 100.")
    if not isinstance(salt, str) or not salt or len(salt) > MAX_TEXT:
        raise ValueError(f"{where}.salt: must be a text; shares with one salt hold the same units.")
    places, prefix = threshold(percent), salt.encode()
    return lambda facts, unit: unit is not None and bucket(prefix, unit) < places
