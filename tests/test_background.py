import threading
import time
from functools import partial

import pytest

from salcli.output.worker import Background


def test_one_thread_keeps_the_order():
    done = []
    work = Background(waiting=2)
    for number in range(100):
        work.submit(partial(done.append, number))
    work.finish()
    assert done == list(range(100))


def test_submitting_waits_when_the_queue_is_full():
    gate = threading.Event()
    work = Background(waiting=2)
    submitted = []

    def submit():
        for number in range(10):
            work.submit(gate.wait)
            submitted.append(number)

    thread = threading.Thread(target=submit)
    thread.start()
    time.sleep(0.2)
    assert len(submitted) == 3  # one runs, two wait
    gate.set()
    thread.join()
    work.finish()


def test_an_error_reaches_who_submits_and_nothing_more_is_done():
    done = []
    work = Background(threads=2, waiting=1)

    def fail():
        raise OSError("no")

    def submit_many():
        work.submit(fail)
        for number in range(1000):
            work.submit(partial(done.append, number))

    with pytest.raises(OSError, match="no"):
        submit_many()
    with pytest.raises(OSError, match="no"):
        work.finish()
    assert len(done) < 1000


def test_cancelling_drops_what_waits():
    gate, done = threading.Event(), []
    work = Background(waiting=4)
    work.submit(gate.wait)
    work.submit(partial(done.append, 1))
    threading.Timer(0.1, gate.set).start()
    work.cancel()
    assert done == []
    assert not [t for t in threading.enumerate() if t.name == "salcli-writer"]
