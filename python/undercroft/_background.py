"""Background work: daemon threads that are reused, and the asyncio tasks that are under way."""

from __future__ import annotations

import contextvars
import os
import queue
import threading
import types
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

_IDLE_SECONDS = 10.0


class Background:
    """Runs functions in daemon threads and coroutines as tasks, and can wait for all of them.

    Threads are as many as there is work: each refresh holds the lease of its key, so there is one a key at most, and
    one that had to wait in a queue could hold up those that wait for its key.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._idle = 0
        self._pending: set[Future[Any]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lock = threading.Lock()

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Run `function` in the pool, in a copy of the caller's context."""
        from concurrent.futures import Future

        future: Future[Any] = Future()
        context = contextvars.copy_context()
        with self._lock:
            self._pending.add(future)
            grow = self._idle == 0
            self._idle -= not grow
        self._queue.put(lambda: self._run(future, context, function, args))
        if grow:
            threading.Thread(target=self._work, name="undercroft-background", daemon=True).start()
        return future

    def start(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Run `function` in a thread of its own: it may take as long as it likes."""
        from concurrent.futures import Future

        future: Future[Any] = Future()
        context = contextvars.copy_context()
        with self._lock:
            self._pending.add(future)
        threading.Thread(
            target=self._run, args=(future, context, function, args), name="undercroft-load", daemon=True
        ).start()
        return future

    def task(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `coroutine` as a task of the running loop, held until it ends."""
        import asyncio

        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def forget_closed_loops(self) -> None:
        """End tasks whose event loop was closed before they ended: their leases go to the next who waits."""
        if self._tasks:
            for task in [task for task in tuple(self._tasks) if task.get_loop().is_closed()]:
                self._tasks.discard(task)
                coroutine = task.get_coro()
                if isinstance(coroutine, types.CoroutineType):
                    coroutine.close()

    def wait(self) -> None:
        """Wait for all that runs in threads."""
        while True:
            with self._lock:
                pending = next(iter(self._pending), None)
            if pending is None:
                return
            pending.exception()

    async def wait_async(self) -> None:
        """Wait for the tasks of the running loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        own = [task for task in self._tasks if task.get_loop() is loop and task is not asyncio.current_task()]
        await asyncio.gather(*own, return_exceptions=True)

    def _run(
        self, future: Future[Any], context: contextvars.Context, function: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        try:
            result = context.run(function, *args)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        finally:
            with self._lock:
                self._pending.discard(future)

    def _work(self) -> None:
        work: Callable[[], None] | None = self._queue.get()
        while work is not None:
            work()
            del work
            with self._lock:
                self._idle += 1
            work = self._next()

    def _next(self) -> Callable[[], None] | None:
        """Return the next work, or `None` when there was none for a while and this thread may end."""
        while True:
            try:
                return self._queue.get(timeout=_IDLE_SECONDS)
            except queue.Empty:  # noqa: PERF203  # an idle thread has time
                with self._lock:
                    # Whoever counts on an idle thread has taken it off the count already.
                    if self._idle > 0:
                        self._idle -= 1
                        return None


BACKGROUND = Background()
if hasattr(os, "register_at_fork"):
    # The threads do not exist in the child; new ones start when there is work.
    os.register_at_fork(after_in_child=BACKGROUND._reset)
