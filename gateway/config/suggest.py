"""What somebody probably meant who wrote a name that is not one of ours."""

from __future__ import annotations

from collections.abc import Collection

from gateway.config.catalog import ENV_PREFIX, catalog

_LIKENESS = 0.7


def nearest(word: str, known: Collection[str]) -> str:
    """The known name most like this one, or "" when none is."""
    import difflib  # 10 ms that only a mistake has to pay

    close = difflib.get_close_matches(word, known, n=1, cutoff=_LIKENESS)
    return close[0] if close else ""


def setting_meant(section: str, name: str) -> str:
    """Ends a sentence about an unknown dotted key: "; did you mean ...?", or nothing."""
    keys = _keys()
    here = {_name(key): key for key in keys if key.startswith(f"{section}.")}
    found = nearest(_folded(name), here)
    if found:
        return _asked(here[found])
    elsewhere = [key for key in keys if _name(key) == _folded(name)]
    return _asked(" or ".join(elsewhere) or nearest(_folded(f"{section}.{name}"), keys))


def section_meant(name: str, known: Collection[str]) -> str:
    """The same for an unknown name at the top of the file: a section, or a setting without one."""
    found = nearest(_folded(name), known)
    if found:
        return _asked(f"[{found}]")
    places = [key.split(".") for key in _keys() if _name(key) == _folded(name)]
    return _asked(" or ".join(f"{own} under [{section}]" for section, own in places))


def variable_meant(variable: str) -> str:
    """The same for an unknown GRAYGATE_ variable."""
    # Compared without the underscores, whose number is what is most often wrong, and without the
    # prefix, which would make every name look like every other.
    known = {_squeezed(own): own for setting in catalog().values() for own in setting.variables}
    found = nearest(_squeezed(variable), known)
    return _asked(known[found]) if found else ""


def _keys() -> list[str]:
    return [key for setting in catalog().values() for key in setting.keys]


def _name(key: str) -> str:
    return key.partition(".")[2]


def _squeezed(variable: str) -> str:
    return variable.upper().removeprefix(ENV_PREFIX).replace("_", "")


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")


def _asked(meant: str) -> str:
    return f"; did you mean {meant}?" if meant else ""
