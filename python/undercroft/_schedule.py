"""The schedule: what runs again and again in the background, and goes on after a fork."""

from __future__ import annotations

import heapq
import inspect
import itertools
import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ._background import BACKGROUND

if TYPE_CHECKING:
    import asyncio


class Job:
    """One thing to do every `interval` seconds, until it is stopped.

    Args:
        run: A function, or a coroutine function where `loop` says where it runs.
        interval: Seconds between two starts.
        loop: The event loop of a coroutine function; `None` for the schedule's own.
    """

    def __init__(
        self, run: Callable[[], Any], interval: float, *, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self.run = run
        self.interval = interval
        self.is_async = inspect.iscoroutinefunction(run)
        self.loop = loop
        self.stopped = False
        self.running = False


class Schedule:
    """Starts jobs when they are due. One daemon thread keeps the time; jobs run in the pool or in their event loop."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._due: list[tuple[float, int, Job]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def _after_fork(self) -> None:
        jobs = [job for _, _, job in self._due if not job.stopped]
        self._reset()
        for job in jobs:
            job.running = False
            job.loop = None
            self.add(job, job.interval)

    def add(self, job: Job, delay: float) -> None:
        """Start `job` after `delay` seconds, and then every interval."""
        if job.stopped:
            return
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + delay, next(self._numbers), job))
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="undercroft-schedule", daemon=True)
                self._thread.start()
            self._changed.notify()

    def stop(self, *, wait: bool) -> None:
        """Stop all jobs, and wait for those that run."""
        with self._changed:
            for _, _, job in self._due:
                job.stopped = True
            self._due.clear()
            self._changed.notify()
        if wait:
            BACKGROUND.wait()

    def run_async(self, coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop | None) -> Any:
        """Run a coroutine in `loop`, or in the schedule's own where that is closed or there is none."""
        if loop is None or loop.is_closed() or not loop.is_running():
            loop = self._own_loop()
        import asyncio

        return asyncio.run_coroutine_threadsafe(coroutine, loop)

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        import asyncio

        with self._changed:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="undercroft-loop", daemon=True).start()
            return self._loop

    def _keep(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                _, _, job = heapq.heappop(self._due)
                if job.stopped:
                    continue
                heapq.heappush(self._due, (time.monotonic() + job.interval, next(self._numbers), job))
            # A job that takes longer than its interval is not started twice.
            if not job.running:
                self._begin(job)

    def _begin(self, job: Job) -> None:
        job.running = True

        def ended(_: Any) -> None:
            job.running = False

        if job.is_async:
            self.run_async(job.run(), job.loop).add_done_callback(ended)
        else:
            BACKGROUND.submit(job.run).add_done_callback(ended)


SCHEDULE = Schedule()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SCHEDULE._after_fork)
