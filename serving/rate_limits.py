"""How often one key may ask: a bucket of tokens a key that fills at its rate (token bucket, RFC 2697's idea)."""

import math
from dataclasses import dataclass, field

#: A key may save up this many seconds of its rate for a burst.
BURST_SECONDS = 10.0


@dataclass
class Buckets:
    """Tokens and the moment (monotonic seconds) they were counted, by key id; for one thread."""

    tokens: dict[str, tuple[float, float]] = field(default_factory=dict)


def seconds_to_wait(buckets: Buckets, key_id: str, per_minute: float, now: float) -> int:
    """Take one token and return 0, or return after how many whole seconds there will be one."""
    rate = per_minute / 60
    most = max(1.0, rate * BURST_SECONDS)
    held, since = buckets.tokens.get(key_id, (most, now))
    held = min(most, held + max(0.0, now - since) * rate)
    if held >= 1:
        buckets.tokens[key_id] = held - 1, now
        return 0
    buckets.tokens[key_id] = held, now
    return max(1, math.ceil((1 - held) / rate))
