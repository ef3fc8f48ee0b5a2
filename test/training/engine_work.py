"""What workers do in tests; a module of its own, since fresh processes must import it."""

import os
import time
from pathlib import Path

from fake import open_fake
from threadpoolctl import threadpool_info


def square(number):
    return number * number


def open_square():
    return square


OPENED = []


def whoami():
    OPENED.append(1)

    def work(task):
        return os.getpid(), os.environ["OMP_NUM_THREADS"], len(OPENED)

    return work


def blas_threads():

    def work(task):
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    return work


def fails(bad=3, config=None):
    maker = square if config is None else open_fake(config)

    def work(number):
        if number == bad:
            raise ValueError("no good number")
        return maker(number)

    return work


def dies():
    def work(number):
        if number == 3:
            os._exit(7)
        return number

    return work


def sleeps():
    def work(folder):
        (Path(folder) / f"{os.getpid()}.pid").touch()
        time.sleep(600)

    return work
