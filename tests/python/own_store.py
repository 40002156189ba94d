"""A store as a user writes one."""

from __future__ import annotations

import math
import time


class OwnStore:
    """The smallest store a user may write."""

    def __init__(self):
        self.data = {}

    def get(self, key):
        value, until = self.data.get(key, (None, 0))
        return value if until > time.time() else None

    def set(self, key, value, ttl=0):
        self.data[key] = (value, time.time() + ttl if ttl > 0 else math.inf)

    def delete(self, key):
        self.data.pop(key, None)

    def exists(self, key):
        return self.data.get(key, (None, 0))[1] > time.time()

    def set_if_not_exists(self, key, value, ttl):
        if self.exists(key):
            return False
        self.set(key, value, ttl)
        return True
