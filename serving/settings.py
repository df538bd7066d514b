"""The environment of the serving process, read once into one frozen Settings. No other file of serving reads it.

The variables and key files are those of flows/settings.py; serving only reads what the flows have made.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

CLOCKS = ("release", "wall")
ONLINE_STORES = ("sqlite", "redis", "postgres")
API_KEYS = ("optional", "required")


class SettingsError(ValueError):
    """A variable of the environment cannot be read; the message names it, what was expected and what came."""

    def __init__(self, name: str, expected: str, came: str):
        super().__init__(
            f"{name}: expected {expected}, came {came}. "
            "Correct or unset it and run again (docs/operations.md, Environment)."
        )


@dataclass(frozen=True)
class ObjectStoreSettings:
    """Where releases are read from: an S3-compatible endpoint, a bucket, and its credentials."""

    endpoint_url: str
    bucket: str
    access_key: str
    secret_key: str
    region: str


@dataclass(frozen=True)
class OnlineStoreSettings:
    """Where a user's newest features are: `online_type` is 'sqlite' (a file), 'redis' (host:port) or 'postgres'."""

    online_type: str
    online_path: str
    redis_url: str
    postgres_url: str = field(default="", repr=False)


@dataclass(frozen=True)
class Settings:
    """All that one serving process needs to know of its surroundings.

    `release_keys`: public keys (hex) of those who may sign releases; several while a key is being replaced.
    """

    pseudonym_key: bytes
    release_keys: tuple[str, ...]
    spool_path: Path
    cache_path: Path
    object_store: ObjectStoreSettings
    online_store: OnlineStoreSettings
    api_keys_path: Path
    api_keys: str = "optional"
    answer_log_share: float = 1.0
    host: str = "127.0.0.1"
    port: int = 8000
    clock: str = "release"
    shop_timezone: str = "UTC"
    poll_seconds: float = 5.0
    max_body_bytes: int = 1_048_576
    max_release_bytes: int = 8 << 30


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment (`AISLE_*`) into Settings.

    Raises SettingsError with the variable's name when a value cannot be read, or a secret was never made.
    """
    env = os.environ if environ is None else environ
    home = Path(env.get("AISLE_HOME", ".aisle")).absolute()
    return Settings(
        pseudonym_key=_secret(env, "AISLE_PSEUDONYM_KEY", home).encode(),
        release_keys=_public_keys(env, home),
        spool_path=Path(env.get("AISLE_SPOOL_PATH", str(home / "spool"))),
        cache_path=Path(env.get("AISLE_SERVING_CACHE_PATH", str(home / "serving" / "releases"))),
        object_store=_object_store(env, home),
        online_store=_online_store(env, home),
        api_keys_path=Path(env.get("AISLE_API_KEYS_PATH", str(home / "keys" / "api_keys.json"))),
        api_keys=_one_of(env, "AISLE_API_KEYS", API_KEYS),
        answer_log_share=_share(env, "AISLE_ANSWER_LOG_SHARE"),
        host=env.get("AISLE_SERVING_HOST", "127.0.0.1"),
        port=_port(env, "AISLE_SERVING_PORT", 8000),
        clock=_one_of(env, "AISLE_CLOCK", CLOCKS),
        shop_timezone=_timezone(env, "AISLE_SHOP_TIMEZONE"),
        poll_seconds=_positive(env, "AISLE_SERVING_POLL_SECONDS", 5.0),
        max_body_bytes=int(_positive(env, "AISLE_SERVING_MAX_BODY_BYTES", 1_048_576)),
        max_release_bytes=int(_positive(env, "AISLE_SERVING_MAX_RELEASE_BYTES", 8 << 30)),
    )


def _object_store(env: Mapping[str, str], home: Path) -> ObjectStoreSettings:
    port = _port(env, "AISLE_OBJECT_STORE_PORT", 8333)
    return ObjectStoreSettings(
        endpoint_url=env.get("AISLE_S3_ENDPOINT_URL", f"http://127.0.0.1:{port}"),
        bucket=env.get("AISLE_S3_BUCKET", "aisle"),
        access_key=env.get("AISLE_S3_ACCESS_KEY") or "aisle",
        secret_key=_secret(env, "AISLE_S3_SECRET_KEY", home),
        region=env.get("AISLE_S3_REGION", "us-east-1"),
    )


def _online_store(env: Mapping[str, str], home: Path) -> OnlineStoreSettings:
    return OnlineStoreSettings(
        online_type=_one_of(env, "AISLE_ONLINE_STORE", ONLINE_STORES),
        online_path=env.get("AISLE_ONLINE_PATH", str(home / "feast" / "online.db")),
        redis_url=env.get("AISLE_REDIS_URL", "127.0.0.1:6379"),
        postgres_url=env.get("AISLE_POSTGRES_URL", "postgresql://127.0.0.1:5432/aisle"),
    )


def _one_of(env: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    text = env.get(name, allowed[0])
    if text not in allowed:
        raise SettingsError(name, " or ".join((", ".join(allowed[:-1]), allowed[-1])), repr(text))
    return text


def _timezone(env: Mapping[str, str], name: str) -> str:
    text = env.get(name, "UTC")
    try:
        return text if text == "UTC" else ZoneInfo(text).key
    except (KeyError, ValueError, OSError):
        raise SettingsError(name, "a time zone like Asia/Shanghai, or UTC", repr(text)) from None


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, str(default))
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise SettingsError(name, "a port from 1 to 65535", repr(text))
    return int(text)


def _positive(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, str(default))
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e12:
        raise SettingsError(name, "a number above 0", repr(text))
    return number


def _public_keys(env: Mapping[str, str], home: Path) -> tuple[str, ...]:
    keys = tuple(_secret(env, "AISLE_RELEASE_PUBLIC_KEY", home).replace(",", " ").split())
    for key in keys:
        if len(key) != 64 or set(key) - set("0123456789abcdef"):
            expected = "64 hex characters (several: a comma between them), as `aisle release key` prints them"
            raise SettingsError("AISLE_RELEASE_PUBLIC_KEY", expected, repr(key))
    return keys


def _share(env: Mapping[str, str], name: str) -> float:
    text = env.get(name, "1")
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise SettingsError(name, "a number from 0 to 1", repr(text))
    return number


def _secret(env: Mapping[str, str], name: str, home: Path) -> str:
    if env.get(name):
        return env[name]
    path = home / "keys" / name.removeprefix("AISLE_").lower()
    expected = f"a key here or in {path} (`aisle serve` makes it once)"
    try:
        kept = path.read_text()
    except FileNotFoundError:
        raise SettingsError(name, expected, "neither") from None
    if not kept.strip():
        raise SettingsError(name, expected, "an empty file")
    return kept
