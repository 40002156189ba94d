"""What tests of loads share: a loader that counts, and waiting for the background."""

from __future__ import annotations

import time


class Calls:
    """A loader that counts."""

    def __init__(self):
        self.count = 0

    def __call__(self, value=None):
        self.count += 1
        return value


def wait_until(claim):
    """Wait for something that happens in the background. It ends when the claim holds, whatever the machine's speed."""
    while not claim():
        time.sleep(0.005)
