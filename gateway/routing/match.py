"""Which route a request belongs to.

The first difference decides: exact host before the longest `*.` host before any host; the longer
path prefix; a route with `models` before one without; one with `methods` before one without; the
name. A prefix matches whole segments: `/v1` matches `/v1` and `/v1/x`, not `/v10`. HEAD matches
where GET does.

Everything is a dictionary look-up, so the cost depends on the depth of the path and not on the
number of routes; nor does a request get to choose it, since labels and segments beyond the longest
configured ones are never looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.routing.facts import RequestFacts
from gateway.routing.spec import RouteSpec

Entry = tuple[frozenset[str], str]  # methods (none = any), name of the route


class _Group:
    """The routes of one host and one path prefix, best first."""

    __slots__ = ("by_model", "of_any_model")

    def __init__(self) -> None:
        self.by_model: dict[str, tuple[Entry, ...]] = {}
        self.of_any_model: tuple[Entry, ...] = ()

    def add(self, spec: RouteSpec) -> None:
        head = {"HEAD"} if "GET" in spec.methods else set()
        entry = (frozenset({*spec.methods, *head}), spec.name)
        for model in dict.fromkeys(spec.models):
            self.by_model[model] = _ranked(*self.by_model.get(model, ()), entry)
        if not spec.models:
            self.of_any_model = _ranked(*self.of_any_model, entry)


class _Paths:
    """The groups of one host, by path prefix without its final slash."""

    __slots__ = ("groups", "longest")

    def __init__(self) -> None:
        self.groups: dict[bytes, _Group] = {}
        self.longest = 0

    def add(self, spec: RouteSpec) -> None:
        for prefix in dict.fromkeys(path.encode().rstrip(b"/") for path in spec.paths):
            self.groups.setdefault(prefix, _Group()).add(spec)
            self.longest = max(self.longest, len(prefix))

    def walk(self, path: bytes) -> Iterator[_Group]:
        """The groups whose prefix this path has, longest first."""
        groups = self.groups
        if len(path) > self.longest:
            # A prefix ends where a slash follows, so one byte more than the longest must be kept.
            path = path[: path.rfind(b"/", 0, self.longest + 1)]
        while True:
            group = groups.get(path)
            if group is not None:
                yield group
            if not path:
                return
            path = path[: path.rfind(b"/")]


class Matcher:
    """Finds the name of the route for a request; immutable."""

    __slots__ = ("_any_host", "_exact", "_longest_wild", "_wild", "has_models")

    def __init__(self, specs: Iterable[RouteSpec]) -> None:
        self._exact: dict[bytes, _Paths] = {}
        self._wild: dict[bytes, _Paths] = {}  # "*.example.com" as ".example.com"
        self._any_host = _Paths()
        self.has_models = False  # whether any route is told from others by the model in the body
        for spec in specs:
            self.has_models |= bool(spec.models)
            for host in dict.fromkeys(spec.hosts):
                self._of_host(host.encode()).add(spec)
            if not spec.hosts:
                self._any_host.add(spec)
        self._longest_wild = max(map(len, self._wild), default=0)

    def match(self, facts: RequestFacts) -> str | None:
        """The name of the route; None when no route takes this request."""
        method, model = facts.method, facts.model
        for group in self._groups(facts):
            if model is not None and group.by_model:
                for methods, name in group.by_model.get(model, ()):
                    if not methods or method in methods:
                        return name
            for methods, name in group.of_any_model:
                if not methods or method in methods:
                    return name
        return None

    def wants_model(self, facts: RequestFacts) -> bool:
        """Whether the model in the body decides between routes: then it must be read first."""
        for group in self._groups(facts):
            entries = (entry for listed in group.by_model.values() for entry in listed)
            if any(not methods or facts.method in methods for methods, _ in entries):
                return True
            if any(not methods or facts.method in methods for methods, _ in group.of_any_model):
                return False
        return False

    def _of_host(self, host: bytes) -> _Paths:
        if host.startswith(b"*."):
            return self._wild.setdefault(host[1:], _Paths())
        return self._exact.setdefault(host, _Paths())

    def _groups(self, facts: RequestFacts) -> Iterator[_Group]:
        host, path = facts.host, facts.path
        if self._exact or self._wild:
            if host.endswith(b"."):  # the same host, written as absolute name
                host = host[:-1]
            exact = self._exact.get(host)
            if exact is not None:
                yield from exact.walk(path)
            yield from self._wild_groups(host, path)
        yield from self._any_host.walk(path)

    def _wild_groups(self, host: bytes, path: bytes) -> Iterator[_Group]:
        if not self._wild:
            return
        # "*.a.b" matches "x.a.b", not "a.b": the first label is never part of the suffix.
        dot = host.find(b".", max(1, len(host) - self._longest_wild))
        while dot > 0:
            paths = self._wild.get(host[dot:])
            if paths is not None:
                yield from paths.walk(path)
            dot = host.find(b".", dot + 1)


def _ranked(*entries: Entry) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: (not entry[0], entry[1])))
