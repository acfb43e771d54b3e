"""Results that threads have ready before they are asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

Result = TypeVar("Result")

THREADS = 2
"""One waits for the disk while the other copies. More would take processors from the training."""


LOOK_SECONDS = 0.5
"""How often whoever waits looks whether it is to stop."""


class ReadAhead(Generic[Result]):
    """Does jobs in threads, some of them ahead, and gives their results in the jobs' own order.

    What a job raises is raised where its result is asked for.
    """

    def __init__(self, *, depth: int) -> None:
        """Start with nothing to do.

        Args:
            depth: how many results may wait, which bounds the memory that they take.
        """
        self._depth = depth
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="read-ahead")
        self._jobs: Iterator[Callable[[], Result]] = iter(())
        self._waiting: deque[Future[Result]] = deque()

    def start(self, jobs: Iterable[Callable[[], Result]]) -> None:
        """Begin with other jobs; what was read for the old ones is forgotten.

        Args:
            jobs: as many as will ever be asked for, or endless. They are taken from the thread that
                asks for results, never further than `depth` ahead.
        """
        for future in self._waiting:
            future.cancel()
        self._waiting.clear()
        self._jobs = iter(jobs)

    def wait(self, count: int, *, stopped: Callable[[], bool]) -> None:
        """Wait until so many results are there, without taking them; raise what a job raised.

        Args:
            count: how many.
            stopped: whether to wait no longer, which is asked all the while.
        """
        self._fill(count)
        for place in range(min(count, len(self._waiting))):
            future = self._waiting[place]
            while not future.done():
                if stopped():
                    return
                wait([future], timeout=LOOK_SECONDS)
            future.result()

    def __next__(self) -> Result:
        """Wait for the next result."""
        self._fill()
        result = self._waiting.popleft().result()
        self._fill()
        return result

    def _fill(self, least: int = 1) -> None:
        while len(self._waiting) < max(self._depth, least):
            job = next(self._jobs, None)
            if job is None:
                return
            self._waiting.append(self._pool.submit(job))
