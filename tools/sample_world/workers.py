"""Runs independent jobs in processes of their own."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

import cv2

Result = TypeVar("Result")


def run_jobs(job: Callable[..., Result], arguments: Sequence[tuple], *, workers: int) -> Iterator[tuple[tuple, Result]]:
    """The arguments and the result of every job, in the order in which they are done.

    Args:
        job: function of a module, run once per element of `arguments`.
        arguments: what each run is given.
        workers: number of processes; 1 runs everything in this one.
    """
    if workers == 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(0)
        try:
            for values in arguments:
                yield values, job(*values)
        finally:
            cv2.setNumThreads(threads)
        return
    context = multiprocessing.get_context("spawn")  # a forked process hangs in OpenCV's threads
    workers = max(min(workers, len(arguments)), 1)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(0,)) as pool:
        jobs = {pool.submit(job, *values): values for values in arguments}
        try:
            for done in as_completed(jobs):
                yield jobs[done], done.result()
        finally:
            pool.shutdown(cancel_futures=True)
