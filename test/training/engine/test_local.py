"""Jobs in processes of this machine: who gets which, what is left behind, what a failure costs."""

import multiprocessing
import os
from functools import partial

import pytest
from engine_light import open_badly, open_environment, open_noting, open_unsendable, open_waiting

from prehend_training.engine import EngineError, EngineOptions, Job, open_engine
from prehend_training.engine.local import ONE_THREAD, one_thread


@pytest.fixture
def started():
    """The processes that were started since, so that those of other tests do not count."""
    before = set(multiprocessing.active_children())
    return lambda: set(multiprocessing.active_children()) - before


def gone(processes):
    """Whether these come to their end, on however busy a machine."""
    for process in processes:
        process.join(60)
    return not any(process.is_alive() for process in processes)


def engine(open_work, workers):
    return open_engine(EngineOptions(workers=workers), open_work)


def test_a_long_job_holds_up_no_other(tmp_path):
    """The first waits for what the last one leaves: it is told of last, and the other worker did the rest."""
    last = tmp_path / "3"
    jobs = [Job("0", (last, tmp_path / "0")), *(Job(str(k), (None, tmp_path / str(k))) for k in (1, 2, 3))]
    done = [(job.name, pid) for job, pid in engine(open_waiting, 2).map(jobs)]
    assert [name for name, _ in done] == ["1", "2", "3", "0"]
    assert len({pid for _, pid in done[:3]}) == 1 and done[3][1] != done[0][1]


def test_no_more_processes_are_started_than_there_are_jobs(started, tmp_path):
    jobs = [Job(str(k), (None, tmp_path / str(k))) for k in range(2)]
    results = engine(open_waiting, 5).map(jobs)
    next(results)
    processes = started()
    assert len(processes) == 2 and len(list(results)) == 1 and gone(processes)


def test_whoever_stops_asking_ends_the_workers(started, tmp_path):
    """The second job would wait for a file that nobody makes."""
    jobs = [Job("0", (None, tmp_path / "0")), Job("1", (tmp_path / "never", tmp_path / "1"))]
    results = engine(open_waiting, 2).map(jobs)
    assert next(results)[0].name == "0"
    processes = started()
    results.close()
    assert processes and gone(processes) and not (tmp_path / "1").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_after_a_failure_nothing_more_is_begun_and_what_was_done_was_told(workers, tmp_path, caplog):
    told = []
    with pytest.raises(EngineError, match=r"job 2 failed \(OSError\('the disk is full'\)\).* goes on from it"):
        for job, result in engine(partial(open_noting, tmp_path), workers).map([Job(f"job {k}", k) for k in range(5)]):
            told.append((job.name, result))
    assert told == [("job 0", 0), ("job 1", 1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]
    if workers:  # where in the code it was is for the log: the process that knew is gone
        assert any("engine_light.py" in record.getMessage() for record in caplog.records)


def test_a_worker_that_cannot_be_opened_names_its_first_job(started):
    with pytest.raises(EngineError, match=r"shard a failed \(RuntimeError\('no OpenGL here'\)\)"):
        list(engine(open_badly, 1).map([Job("shard a", 0), Job("shard b", 1)]))
    assert gone(started())


def test_an_answer_that_cannot_be_sent_names_its_job():
    with pytest.raises(EngineError, match="shard a failed"):
        list(engine(open_unsendable, 1).map([Job("shard a", 0)]))


def test_nothing_is_opened_for_no_jobs():
    assert list(engine(open_badly, 0).map([])) == [] == list(engine(open_badly, 2).map([]))


def test_workers_have_one_thread_and_this_process_is_left_as_it_was(monkeypatch):
    for name in ONE_THREAD:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")  # somebody's own choice stands
    before = dict(os.environ)
    ((_, told),) = engine(open_environment, 1).map([Job("ask", 0)])
    assert told == {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "3", "LP_NUM_THREADS": "0"}
    assert dict(os.environ) == before


def test_the_environment_is_put_back_after_an_error_too(monkeypatch):
    monkeypatch.delenv("LP_NUM_THREADS", raising=False)
    with pytest.raises(ZeroDivisionError), one_thread():
        assert os.environ["LP_NUM_THREADS"] == "0"
        raise ZeroDivisionError
    assert "LP_NUM_THREADS" not in os.environ
