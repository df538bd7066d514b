"""How a row of the online store is kept: table names, entity keys, and the guard that never lets a row go back in time.

The format is Feast's (entity key serialisation version 3, one protobuf Value a feature); the moments beside it are
ours. Both doors write it: online_store.py through Feast for flows, serving without Feast. Standard library only.
"""

import struct

#: Feast's number of the type string in its ValueType.
_STRING = 2

CREATE_TIMES = """
CREATE TABLE IF NOT EXISTS row_times (
    feature_table TEXT, entity_key BLOB, event_us INTEGER, created_us INTEGER, PRIMARY KEY (feature_table, entity_key)
) WITHOUT ROWID
"""
CREATE_VALUES = """
CREATE TABLE IF NOT EXISTS "{table}" (
    entity_key BLOB, feature_name TEXT, value BLOB, PRIMARY KEY (entity_key, feature_name)
) WITHOUT ROWID
"""
#: One statement: it changes a row, and so says 1, only when the new moment is not before the stored one.
SQLITE_GUARD = """
INSERT INTO row_times VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
SET event_us = excluded.event_us, created_us = excluded.created_us
WHERE (excluded.event_us, excluded.created_us) >= (event_us, created_us)
"""
SQLITE_WRITE = 'INSERT OR REPLACE INTO "{table}" VALUES (?, ?, ?)'
#: One step on the server: compare the stored moment with the new one, and write the whole row or nothing.
REDIS_GUARDED_WRITE = """
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and stored > ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
"""
#: Feast's own table of a view; a row a feature.
POSTGRES_CREATE = """
CREATE TABLE IF NOT EXISTS "{table}" (
    entity_key BYTEA, feature_name TEXT, value BYTEA, value_text TEXT NULL, vector_value BYTEA NULL,
    event_ts TIMESTAMPTZ, created_ts TIMESTAMPTZ, PRIMARY KEY (entity_key, feature_name)
)
"""
#: One statement for many rows (five arrays): a value replaces another only when its moment is not before the stored
#: one. Rows in the order of their keys, so that two writers never wait for each other in a circle; a key once.
POSTGRES_WRITE = """
INSERT INTO "{table}" AS stored (entity_key, feature_name, value, event_ts, created_ts)
SELECT * FROM unnest(%s::bytea[], %s::text[], %s::bytea[], %s::timestamptz[], %s::timestamptz[])
ON CONFLICT (entity_key, feature_name) DO UPDATE
SET value = excluded.value, value_text = NULL, event_ts = excluded.event_ts, created_ts = excluded.created_ts
WHERE (excluded.event_ts, excluded.created_ts) >= (stored.event_ts, coalesce(stored.created_ts, '-infinity'))
"""


def table_name(project: str, view: str) -> str:
    """Return the name of a view's table in SQLite and Postgres."""
    return f"{project}_{view}"


def entity_key(join_key: str, value: str) -> bytes:
    """Return Feast's serialised key (version 3) of an entity with one join key whose value is a string."""
    name, text = join_key.encode(), value.encode()
    return b"".join((struct.pack("<III", 1, _STRING, len(name)), name, struct.pack("<II", _STRING, len(text)), text))


def redis_key(project: str, key: bytes) -> bytes:
    """Return the Redis key of an entity's hash."""
    return key + project.encode()


def redis_moment(event_us: int, created_us: int) -> str:
    """Return the moment of a row as text that sorts by time; microseconds since 1970."""
    return f"{event_us:020d}:{created_us:020d}"
