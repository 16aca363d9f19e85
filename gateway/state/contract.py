"""From what operators typed into the store to a valid `RouteSpec`, or the reasons why not.

A route is judged as a whole: one refusal and none of it is taken over, so that a half-typed change
never routes anybody. Everything that is wrong is reported, not just the first finding, and each
report names the key and says what to do. Unknown fields are only warned about: a newer gateway may
know them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from gateway.routing.bucket import natural_key
from gateway.routing.matchers import PatternBudget
from gateway.routing.rules import compile_rule
from gateway.routing.spec import RouteSpec, RuleSpec, VersionSpec
from gateway.routing.suggest import suggest
from gateway.state.fields import (
    FIELDS,
    PERCENT,
    TIMEOUTS,
    seconds,
    short,
)
from gateway.state.keys import NAME_RULE, Keys, Part, is_name
from gateway.state.raw import RawRoute, Unreadable
from gateway.state.snapshot import Refusal
from gateway.state.versions import UrlRule, WrongVersion, read_version, why

MAX_VALUE_BYTES = 64 * 1024
MAX_FIELDS = 200  # of one hash
MAX_FINDINGS = 20  # of one route: a script gone wild must not fill the log
MAX_VERSIONS = 100
MAX_RULES = 200
MAX_ROUTE_INSTRUCTIONS = 6000  # of all patterns: at worst 0.3 s for one request of 8 KiB values

_NEEDS = {
    "health_interval": "health",
    "mirror_percent": "mirror",
    "mirror_credentials": "mirror",
    "compare": "mirror",
    "mirror_self": "compare",
}


@dataclass(slots=True)
class Verdict:
    """What became of one raw route."""

    spec: RouteSpec | None = None
    refused: list[Refusal] = field(default_factory=list)
    warnings: list[Refusal] = field(default_factory=list)


def validate(raw: RawRoute, keys: Keys, wrong_place: UrlRule | None = None) -> Verdict:
    """Judge one route; `verdict.spec` is set only when nothing at all was refused."""
    return _Judge(raw, keys, wrong_place).judge()


class _Judge:
    """Walks the parts of one route and collects everything that is wrong with it."""

    def __init__(self, raw: RawRoute, keys: Keys, wrong_place: UrlRule | None) -> None:
        self.raw = raw
        self.keys = keys
        self.wrong_place = wrong_place
        self.retired: dict[str, VersionSpec] = {}
        self.broken: set[str] = set()  # versions that were refused already
        self.verdict = Verdict()
        self.key = keys.route(raw.name)  # the key that is being judged

    def judge(self) -> Verdict:
        fields = self._hash(self.raw.route, self.keys.route(self.raw.name))
        versions = self._versions()
        stable = self._stable(fields, versions)
        weights = self._weights(versions, stable)
        rules = self._rules(versions, stable)
        options = self._options(fields)
        self._belong(fields, versions)
        if self.raw.history_problem is not None:
            self.key = self.keys.history(self.raw.name)
            self.warn(self.raw.history_problem.reason, self.raw.history_problem.text)
        if not self.verdict.refused:
            self.verdict.spec = RouteSpec(
                name=self.raw.name,
                stable=stable,
                versions=versions,
                retired=self.retired,
                weights=weights,
                rules=rules,
                **options,  # type: ignore[arg-type]  # built field by field in _options
            )
        return self.verdict

    # What all parts share

    def refuse(self, reason: str, text: str, field: str = "") -> None:
        if len(self.verdict.refused) < MAX_FINDINGS:
            self.verdict.refused.append(Refusal(self.raw.name, self.key, reason, text, field))

    def warn(self, reason: str, text: str) -> None:
        if len(self.verdict.warnings) < MAX_FINDINGS:
            self.verdict.warnings.append(Refusal(self.raw.name, self.key, reason, text))

    def _hash(self, pairs: Mapping[bytes, bytes] | Unreadable, key: str) -> dict[str, str]:
        """The pairs as trimmed text; whatever is no text or too long is refused."""
        self.key = key
        if isinstance(pairs, Unreadable):
            self.refuse(pairs.reason, pairs.text)
            return {}
        if len(pairs) > MAX_FIELDS:
            self.refuse("too_large", f"more than {MAX_FIELDS} fields; remove those without use")
            return {}
        texts: dict[str, str] = {}
        for name, value in pairs.items():
            label = name[:64].decode(errors="replace")
            if len(name) > MAX_VALUE_BYTES or len(value) > MAX_VALUE_BYTES:
                self.refuse("too_large", f"{label!r} holds more than {MAX_VALUE_BYTES} bytes")
                continue
            try:
                texts[name.decode()] = value.decode().strip(" \t\r\n")
            except UnicodeDecodeError:
                self.refuse("bad_value", f"{label!r} is not valid UTF-8 text")
        return texts

    def _no_version(self, name: str, versions: Mapping[str, VersionSpec]) -> str:
        """Ends a sentence about a name that no version that gets traffic has."""
        if name in self.retired:
            how = f"graygate version restore {self.raw.name} {name}"
            return f" It is retired; bring it back with: {how}"
        return suggest(name, versions)

    def _may_know(self, name: str, versions: Mapping[str, VersionSpec]) -> bool:
        """Whether this may be a version: all may while the versions themselves cannot be read."""
        is_judged = name in versions or name in self.broken
        return is_judged or isinstance(self.raw.versions, Unreadable)

    # The parts

    def _versions(self) -> dict[str, VersionSpec]:
        texts = self._hash(self.raw.versions, self.keys.part(self.raw.name, Part.VERSIONS))
        if len(texts) > MAX_VERSIONS:
            self.refuse("too_large", f"more than {MAX_VERSIONS} versions; remove retired ones")
            return {}
        versions: dict[str, VersionSpec] = {}
        for name in sorted(texts, key=natural_key):
            if not is_name(name):
                text = f"{short(name)} is no version name: use {NAME_RULE}"
                self.refuse("bad_value", text, f"versions.{name[:64]}")
                continue
            version = self._version(name, texts[name])
            if version is not None:
                (self.retired if version.is_retired else versions)[name] = version
        return versions

    def _version(self, name: str, text: str) -> VersionSpec | None:
        try:
            return read_version(text, self.wrong_place)
        except WrongVersion as error:
            self.refuse(error.reason, f"version {name} {error}", f"versions.{name}")
            self.broken.add(name)
            return None

    def _stable(self, fields: Mapping[str, str], versions: Mapping[str, VersionSpec]) -> str:
        self.key = self.keys.route(self.raw.name)
        stable = fields.get("stable", "")
        if not stable:
            if not isinstance(self.raw.route, Unreadable) and not self._stable_name():
                self.refuse(
                    "missing",
                    f"field stable is missing; write: HSET {self.key} stable "
                    f"{next(iter(versions), 'VERSION')}",
                    "stable",
                )
        elif not self._may_know(stable, versions):
            self.refuse(
                "unknown_version",
                f"stable is {short(stable)}, which is not a valid entry of "
                f"{self.keys.part(self.raw.name, Part.VERSIONS)}."
                f"{self._no_version(stable, versions)}",
                "stable",
            )
        return stable

    def _weights(self, versions: Mapping[str, VersionSpec], stable: str) -> dict[str, float]:
        texts = self._hash(self.raw.weights, self.keys.part(self.raw.name, Part.WEIGHTS))
        weights = self._percents(texts, versions, "weights")
        own = weights.pop(stable, None)
        rest = 100.0 - sum(weights.values())
        if own is not None and abs(own - rest) > 1e-6 and rest >= 0:
            self.warn(
                "stable_weight",
                f"the weight {own:g} of stable {stable} is ignored: stable takes the rest, "
                f"{rest:g}; mend with: HDEL {self.key} {stable}",
            )
        return weights

    def _percents(
        self, texts: Mapping[str, str], versions: Mapping[str, VersionSpec], field: str
    ) -> dict[str, float]:
        """Percents by version, checked one by one and in sum; stable's own entry stays in."""
        weights: dict[str, float] = {}
        for name in sorted(texts, key=natural_key):
            text = texts[name]
            if not self._may_know(name, versions):
                if name in self.retired and PERCENT.fullmatch(text) and float(text) == 0:
                    continue  # left over from before
                self.refuse(
                    "unknown_version",
                    f"{short(name)} is no version of this route.{self._no_version(name, versions)}",
                    f"{field}.{name[:64]}",
                )
            elif not PERCENT.fullmatch(text) or float(text) > 100:
                self.refuse(
                    "bad_value",
                    f"the weight of {name} is {short(text)}; write percent from 0 to 100, "
                    "for instance 12.5",
                    f"{field}.{name}",
                )
            else:
                weights[name] = float(text)
        stable = self._stable_name()
        total = sum(weight for name, weight in weights.items() if name != stable)
        if total > 100 + 1e-9:
            self.refuse("sum_over_100", f"the weights of the candidates add up to {total:g}", field)
        return weights

    def _stable_name(self) -> str:
        fields = self.raw.route
        if isinstance(fields, Unreadable):
            return ""
        return fields.get(b"stable", b"").decode(errors="replace").strip(" \t\r\n")

    def _rules(self, versions: Mapping[str, VersionSpec], stable: str) -> tuple[RuleSpec, ...]:
        self.key = self.keys.part(self.raw.name, Part.RULES)
        raw_rules = self.raw.rules
        if isinstance(raw_rules, Unreadable):
            self.refuse(raw_rules.reason, raw_rules.text)
            return ()
        if len(raw_rules) > MAX_RULES:
            self.refuse("too_large", f"more than {MAX_RULES} rules")
            return ()
        # Each rule is bounded by itself; 200 of them would still take seconds of a request's time.
        patterns = PatternBudget(MAX_ROUTE_INSTRUCTIONS, "all rules of this route")
        rules: list[RuleSpec] = []
        for position, raw in enumerate(raw_rules):
            rule = self._rule(position, raw, versions, stable, patterns)
            if rule is not None:
                rules.append(rule)
            if patterns.is_overspent:  # by all that follow, too: it is said once
                break
        return tuple(rules)

    def _rule(
        self,
        position: int,
        raw: bytes,
        versions: Mapping[str, VersionSpec],
        stable: str,
        patterns: PatternBudget,
    ) -> RuleSpec | None:
        where, field = f"rule {position}", f"rules[{position}]"
        if len(raw) > MAX_VALUE_BYTES:
            self.refuse("too_large", f"{where} holds more than {MAX_VALUE_BYTES} bytes", field)
            return None
        try:
            rule = msgspec.json.decode(raw, type=_TypedRule)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            self.refuse("bad_rule", f"{where}: {why(error)}", field)
            return None
        if (rule.version is None) == (rule.weights is None):
            text = f'{where} needs exactly one of "version" and "weights"'
            self.refuse("bad_rule", text, field)
            return None
        named = [rule.version] if rule.version is not None else list(rule.weights or {})
        for name in named:
            if not self._may_know(name, versions):
                self.refuse(
                    "unknown_version",
                    f"{where} names {short(name)}, which is no version of this route."
                    f"{self._no_version(name, versions)}",
                    field,
                )
                return None
        weights = None
        if rule.weights is not None:
            texts = {name: _number(weight) for name, weight in rule.weights.items()}
            weights = self._percents(texts, versions, f"{field}.weights")
            if self.verdict.refused:
                return None  # nothing of this route will be taken over
            weights.pop(stable, None)
        spec = RuleSpec(when=rule.when, version=rule.version, weights=weights, name=rule.name)
        try:
            compile_rule(spec, {*versions, *named}, stable=stable, patterns=patterns)
        except ValueError as error:
            self.refuse("bad_rule", f"{where}: {error}", field)
            return None
        return spec

    def _options(self, fields: Mapping[str, str]) -> dict[str, object]:
        self.key = self.keys.route(self.raw.name)
        options: dict[str, object] = {}
        timeouts: dict[str, float] = {}
        for name, text in fields.items():
            if name in ("stable", "salt"):
                continue
            kind, _, timeout = name.partition("_")
            try:
                if kind == "timeout" and timeout in TIMEOUTS:
                    timeouts[timeout] = seconds(text)
                elif name in FIELDS:
                    target, parse = FIELDS[name]
                    options[target] = parse(text)
                else:
                    self.warn("unknown_field", f"field {short(name)} is ignored.{_near(name)}")
            except ValueError as error:
                self.refuse("bad_value", f"{name}: {error}", name)
        if timeouts:
            options["timeouts"] = timeouts
        options["salt"] = self._salt(fields)
        return options

    def _belong(self, fields: Mapping[str, str], versions: Mapping[str, VersionSpec]) -> None:
        """Judges what fields say about each other."""
        self.key = self.keys.route(self.raw.name)
        mirror = fields.get("mirror", "")
        if mirror and not self._may_know(mirror, versions):
            self.refuse(
                "unknown_version",
                f"mirror is {short(mirror)}, which is no version of this route."
                f"{self._no_version(mirror, versions)}",
                "mirror",
            )
        for name, needed in _NEEDS.items():
            if name in fields and needed not in fields:
                self.warn("without_effect", f"field {name} has no effect without {needed}")

    def _salt(self, fields: Mapping[str, str]) -> str:
        release_id = self.raw.release_id
        if isinstance(release_id, Unreadable):
            # Without it the salt would be another one, and every user be dealt anew.
            self.key = self.keys.part(self.raw.name, Part.RELEASE)
            self.refuse(release_id.reason, release_id.text)
            return ""
        if fields.get("salt"):
            return fields["salt"]
        if release_id:
            return f"{self.raw.name}:{release_id}"
        return self.raw.name


class _TypedRule(msgspec.Struct, forbid_unknown_fields=True):
    """A rule as operators type it."""

    when: dict[str, object]
    version: str | None = None
    weights: dict[str, int | float | str] | None = None
    name: str = ""


def _number(value: int | float | str) -> str:
    if isinstance(value, int):
        return str(value)
    return value if isinstance(value, str) else f"{value:.6f}".rstrip("0").rstrip(".")


def _near(name: str) -> str:
    known = [*FIELDS, "stable", "salt", *(f"timeout_{timeout}" for timeout in TIMEOUTS)]
    return suggest(name, known)
