"""The environment, read once into one frozen Settings. No other file of flows reads or writes it.

Everything has an embedded default under AISLE_HOME (a folder), so that nothing must be set to start;
production sets the addresses and the secrets.
"""

import json
import os
import secrets
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flows.setting_values import SettingsError, count, one_of, port, secret

#: A flow run tells the server this often that it lives (Prefect takes 30 or more).
HEARTBEAT_SECONDS = 30
#: Feast names a folder here when it is imported, and removes it when its process ends: a child that outlives it fails.
_FEAST_COUNTS = ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR")


@dataclass(frozen=True)
class ObjectStoreSettings:
    """Where releases and reports are kept: an S3-compatible endpoint, a bucket, and its credentials."""

    endpoint_url: str
    bucket: str
    access_key: str
    secret_key: str
    region: str
    embedded: bool


@dataclass(frozen=True)
class FeatureStoreSettings:
    """Where Feast keeps its registry and online values; `online_type` is 'sqlite', 'redis' or 'postgres'."""

    offline_path: str
    registry_path: str
    online_type: str
    online_path: str
    redis_url: str
    postgres_url: str = field(default="", repr=False)


@dataclass(frozen=True)
class ServiceSettings:
    """Addresses of what `aisle up` starts."""

    prefect_host: str
    prefect_port: int
    serving_host: str
    serving_port: int

    @property
    def prefect_api_url(self) -> str:
        """The Prefect API that flows report to."""
        return f"http://{self.prefect_host}:{self.prefect_port}/api"

    @property
    def serving_url(self) -> str:
        """The serving API and its page."""
        return f"http://{self.serving_host}:{self.serving_port}"


@dataclass(frozen=True)
class Settings:
    """All that a run needs to know. `signing_key` (64 hex characters) signs releases; `clock` is serving's."""

    home: Path
    lake_uri: str
    spool_path: Path
    pseudonym_key: bytes
    api_keys_path: Path
    api_key: str | None
    signing_key: str = field(repr=False)
    object_store: ObjectStoreSettings
    feature_store: FeatureStoreSettings
    services: ServiceSettings
    clock: str = "release"
    #: Items that a model may recommend (flows/catalogue_items.py).
    vocabulary_limit: int = 20_000
    training_rows_limit: int = 300_000
    #: Read the lake as it was at this moment (flows/known_lake.py); None: as it is.
    known_at: datetime | None = None
    #: Read these tables of the lake at these versions (flows/known_lake.py); -1: nothing had landed.
    lake_versions: Mapping[str, int] | None = None


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment (`AISLE_*`) into Settings; an embedded secret that is not set is made once and kept.

    Raises SettingsError with the variable's name when a value cannot be read.
    """
    env = os.environ if environ is None else environ
    home = Path(env.get("AISLE_HOME", ".aisle")).absolute()
    return Settings(
        home=home,
        lake_uri=env.get("AISLE_LAKE_URI", str(home / "lake")),
        spool_path=Path(env.get("AISLE_SPOOL_PATH", str(home / "spool"))),
        pseudonym_key=secret(env, "AISLE_PSEUDONYM_KEY", home).encode(),
        api_keys_path=Path(env.get("AISLE_API_KEYS_PATH", str(home / "keys" / "api_keys.json"))),
        api_key=env.get("AISLE_API_KEY"),
        signing_key=_signing_key(env, home),
        object_store=_object_store(env, home),
        feature_store=_feature_store(env, home),
        services=ServiceSettings(
            prefect_host=env.get("AISLE_PREFECT_HOST", "127.0.0.1"),
            prefect_port=port(env, "AISLE_PREFECT_PORT", 4200),
            serving_host=env.get("AISLE_SERVING_HOST", "127.0.0.1"),
            serving_port=port(env, "AISLE_SERVING_PORT", 8000),
        ),
        clock=one_of(env, "AISLE_CLOCK", ("release", "wall")),
        vocabulary_limit=count(env, "AISLE_VOCABULARY_LIMIT", 20_000),
        training_rows_limit=count(env, "AISLE_TRAINING_ROWS_LIMIT", 300_000),
    )


def environment_for_children(settings: Settings) -> dict[str, str]:
    """The environment of a process that we start: this one's, these very settings, and our own Prefect server."""
    store, features, services = settings.object_store, settings.feature_store, settings.services
    where = "AISLE_OBJECT_STORE_PORT" if store.embedded else "AISLE_S3_ENDPOINT_URL"
    return {
        **{name: value for name, value in os.environ.items() if name not in _FEAST_COUNTS},
        "AISLE_HOME": str(settings.home),
        "AISLE_LAKE_URI": settings.lake_uri,
        "AISLE_SPOOL_PATH": str(settings.spool_path),
        "AISLE_PSEUDONYM_KEY": settings.pseudonym_key.decode(),
        "AISLE_API_KEYS_PATH": str(settings.api_keys_path),
        "AISLE_RELEASE_SIGNING_KEY": settings.signing_key,
        "AISLE_RELEASE_PUBLIC_KEY": public_key_of(settings.signing_key),
        where: store.endpoint_url.rpartition(":")[2] if store.embedded else store.endpoint_url,
        "AISLE_S3_BUCKET": store.bucket,
        "AISLE_S3_ACCESS_KEY": store.access_key,
        "AISLE_S3_SECRET_KEY": store.secret_key,
        "AISLE_S3_REGION": store.region,
        "AISLE_FEATURES_PATH": features.offline_path,
        "AISLE_FEAST_REGISTRY": features.registry_path,
        "AISLE_ONLINE_STORE": features.online_type,
        "AISLE_ONLINE_PATH": features.online_path,
        "AISLE_REDIS_URL": features.redis_url,
        "AISLE_POSTGRES_URL": features.postgres_url,
        "AISLE_PREFECT_HOST": services.prefect_host,
        "AISLE_PREFECT_PORT": str(services.prefect_port),
        "AISLE_SERVING_HOST": services.serving_host,
        "AISLE_SERVING_PORT": str(services.serving_port),
        "AISLE_VOCABULARY_LIMIT": str(settings.vocabulary_limit),
        "AISLE_TRAINING_ROWS_LIMIT": str(settings.training_rows_limit),
        **_quiet(settings.home),
        "PREFECT_API_URL": services.prefect_api_url,
        "PREFECT_SERVER_API_HOST": services.prefect_host,
        "PREFECT_SERVER_API_PORT": str(services.prefect_port),
        "PREFECT_UI_API_URL": services.prefect_api_url,
    }


def environment_for_serving(settings: Settings) -> dict[str, str]:
    """The same for serving, which knows the public half of the signing key only."""
    environment = environment_for_children(settings)
    del environment["AISLE_RELEASE_SIGNING_KEY"]
    return environment


def public_key_of(signing_key: str) -> str:
    """Return the public half of a signing key, as hex: what serving needs to know which releases are ours."""
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(signing_key)).public_key().public_bytes_raw().hex()


def prepare_process(environ: MutableMapping[str, str] | None = None) -> None:
    """Give this process the defaults that libraries read when they are imported; what is set already stays.

    Flows report to the server of this AISLE_HOME where `aisle up` started one, else to one of their own. Raises
    SettingsError when nothing can be kept in AISLE_HOME.
    """
    env = os.environ if environ is None else environ
    home = Path(env.get("AISLE_HOME", ".aisle")).absolute()
    record = home / "run" / "prefect.json"
    if "PREFECT_API_URL" not in env and record.exists():
        server = json.loads(record.read_text())
        if _is_alive(server["pid"]):
            env["PREFECT_API_URL"] = server["address"] + "/api"
    for name, value in _quiet(home).items():
        env.setdefault(name, value)
    # Prefect makes its own folder, but not the folders above it.
    try:
        Path(env["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        came = f"{error.filename} ({(error.strerror or str(error)).lower()})"
        raise SettingsError("AISLE_HOME", "a folder that this user may write in", came) from error


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _quiet(home: Path) -> dict[str, str]:
    """Libraries keep their files in our home and report to nobody."""
    return {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_UI_STATIC_DIRECTORY": str(home / "prefect" / "ui"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "FEAST_USAGE": "False",
        "HF_HUB_OFFLINE": "1",
    }


def _object_store(env: Mapping[str, str], home: Path) -> ObjectStoreSettings:
    own_port = port(env, "AISLE_OBJECT_STORE_PORT", 8333)
    return ObjectStoreSettings(
        endpoint_url=env.get("AISLE_S3_ENDPOINT_URL", f"http://127.0.0.1:{own_port}"),
        bucket=env.get("AISLE_S3_BUCKET", "aisle"),
        access_key=env.get("AISLE_S3_ACCESS_KEY") or "aisle",
        secret_key=secret(env, "AISLE_S3_SECRET_KEY", home),
        region=env.get("AISLE_S3_REGION", "us-east-1"),
        embedded="AISLE_S3_ENDPOINT_URL" not in env,
    )


def _feature_store(env: Mapping[str, str], home: Path) -> FeatureStoreSettings:
    return FeatureStoreSettings(
        offline_path=env.get("AISLE_FEATURES_PATH", str(home / "features")),
        registry_path=env.get("AISLE_FEAST_REGISTRY", str(home / "feast" / "registry.db")),
        online_type=one_of(env, "AISLE_ONLINE_STORE", ("sqlite", "redis", "postgres")),
        online_path=env.get("AISLE_ONLINE_PATH", str(home / "feast" / "online.db")),
        redis_url=env.get("AISLE_REDIS_URL", "127.0.0.1:6379"),
        postgres_url=env.get("AISLE_POSTGRES_URL", "postgresql://127.0.0.1:5432/aisle"),
    )


def _signing_key(env: Mapping[str, str], home: Path) -> str:
    """Read the key that signs releases, and keep its public half where serving on this machine finds it."""
    key = secret(env, "AISLE_RELEASE_SIGNING_KEY", home).strip()
    try:
        public = public_key_of(key)
    except ValueError as error:
        expected = "32 bytes as 64 hex characters (openssl rand -hex 32 makes one)"
        raise SettingsError("AISLE_RELEASE_SIGNING_KEY", expected, "another text") from error
    path = home / "keys" / "release_public_key"
    if not path.exists() or path.read_text() != public:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_suffix(f".{secrets.token_hex(4)}")
        fresh.write_text(public)
        fresh.replace(path)
    return key
