"""Single values of the environment, read for flows/settings.py, and the error that names the one which cannot be."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path


class SettingsError(ValueError):
    """A variable of the environment cannot be read; the message names it, what was expected and what came."""

    def __init__(self, name: str, expected: str, came: str):
        super().__init__(
            f"{name}: expected {expected}, came {came}. "
            "Correct or unset it and run again (docs/operations.md, Environment)."
        )


def one_of(env: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    """Return a variable that has one of a few values, the first of them when it is not set."""
    text = env.get(name, allowed[0])
    if text not in allowed:
        raise SettingsError(name, " or ".join((", ".join(allowed[:-1]), allowed[-1])), repr(text))
    return text


def port(env: Mapping[str, str], name: str, default: int) -> int:
    """Return a variable that is a port."""
    text = env.get(name, str(default))
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise SettingsError(name, "a port from 1 to 65535", repr(text))
    return int(text)


def count(env: Mapping[str, str], name: str, default: int) -> int:
    """Return a variable that is a whole number from 1 on; underscores between its digits are read over."""
    text = env.get(name, str(default)).replace("_", "")
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(name, "a whole number from 1 on", repr(text))
    return int(text)


def secret(env: Mapping[str, str], name: str, home: Path) -> str:
    """Return a secret: a variable, or else what its file below home/keys holds, made once. An empty file is refused."""
    if env.get(name):
        return env[name]
    path = home / "keys" / name.removeprefix("AISLE_").lower()
    try:
        kept = _kept_secret(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(name, f"{path} to be a file that this user may read and write", reason) from error
    if not kept.strip():
        raise SettingsError(
            name, f"a secret, in the variable or in {path} (restore it from your backup)", "an empty file"
        )
    return kept


def _kept_secret(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        fresh = path.with_suffix(f".{secrets.token_hex(4)}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_hex(32))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text()
