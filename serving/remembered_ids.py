"""Ids taken lately, in memory that is there from the start: two tables of fingerprints, of which the older one goes."""

import hashlib
from dataclasses import dataclass

#: Bytes of a fingerprint (BLAKE2b): two ids with the same one would need 2^64 pushes.
_WIDTH = 16
_FREE = bytes(_WIDTH)


@dataclass
class RememberedIds:
    """Knows the last `capacity` ids, and at most twice as many; strings of them took 25 MB that a server grew by."""

    capacity: int
    newer: bytearray
    older: bytearray
    count: int = 0

    def __contains__(self, event_id: str) -> bool:
        """Return whether an id is known; ids before the last `capacity` may be forgotten."""
        mark = _fingerprint(event_id)
        return any(table[(at := _place(table, mark)) : at + _WIDTH] == mark for table in (self.newer, self.older))


def no_ids(capacity: int) -> RememberedIds:
    """Return a memory without ids; 4 MB for 50,000."""
    slots = 1 << (2 * capacity).bit_length()  # less than half of a table is ever taken
    return RememberedIds(capacity, bytearray(slots * _WIDTH), bytearray(slots * _WIDTH))


def remember(known: RememberedIds, event_id: str) -> None:
    """Add an id; when the newer table is full it becomes the older one, and what that held is forgotten."""
    if known.count >= known.capacity:
        known.older, known.newer, known.count = known.newer, bytearray(len(known.newer)), 0
    mark = _fingerprint(event_id)
    at = _place(known.newer, mark)
    if known.newer[at : at + _WIDTH] == _FREE:
        known.newer[at : at + _WIDTH] = mark
        known.count += 1


def _fingerprint(event_id: str) -> bytes:
    return hashlib.blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=_WIDTH).digest()


def _place(table: bytearray, mark: bytes) -> int:
    """Return where a fingerprint stands in a table, or the free place where it would (linear probing)."""
    at = int.from_bytes(mark[:8], "little") * _WIDTH % len(table)
    while (found := table[at : at + _WIDTH]) != mark and found != _FREE:
        at = (at + _WIDTH) % len(table)
    return at
