"""Which Python to measure with: one that was built as those are that people run in production.

    python loadtests/interpreter.py

prints its path. Debian, Docker's images, python.org and uv build CPython with profile-guided
optimisation; who builds it himself (pyenv, say) mostly does not, and then all that Python does
takes about a quarter longer. Ratios to proxies in C or Go would tell of that, not of the gateway.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

_SYSTEM = "/usr/bin/python3"
_OLDEST = (3, 11)


def is_optimised() -> bool:
    """Whether this interpreter was; where it does not say how it was built, it is taken to be."""
    told = sysconfig.get_config_var("CONFIG_ARGS")
    # Debian asks for it in another way than by an argument, and has a scheme that is Debian's own.
    return (
        not told or "--enable-optimizations" in told or "deb_system" in sysconfig.get_scheme_names()
    )


def lacks() -> str:
    """Why this interpreter cannot be measured with; "" when it can."""
    if sys.version_info < _OLDEST:
        return f"is Python {sys.version_info.major}.{sys.version_info.minor}"
    if not is_optimised():
        return "was built without --enable-optimizations"
    try:
        import ensurepip  # noqa: F401  # Debian keeps it in a package of its own
    except ImportError:
        return "cannot make environments (Debian: apt-get install python3-venv)"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "has no C headers to compile with (Debian: apt-get install python3-dev)"
    return ""


def chosen(own: str = sys.executable, others: tuple[str, ...] = (_SYSTEM,)) -> str:
    """The own one if it lacks nothing, else the first other that does not, else the own."""
    reasons = []
    for python in (own, *others):
        reason = _asked(python)
        if not reason:
            return python
        reasons.append(f"{python} {reason}")
    print(f"Measured with {own} all the same: {'; '.join(reasons)}.", file=sys.stderr)
    return own


def _asked(python: str) -> str:
    try:
        asked = subprocess.run(
            [python, __file__, "--lacks"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"does not start ({type(error).__name__})"
    return asked.stdout.strip()


if __name__ == "__main__":
    print(lacks() if "--lacks" in sys.argv else chosen())
