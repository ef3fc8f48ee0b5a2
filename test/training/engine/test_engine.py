import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import pytest
from engine_work import blas_threads, dies, fails, open_square, whoami
from fake import write_fake

from prehend.errors import InvalidInput, MissingDependency
from prehend_training.engine import EngineError, EngineOptions, Job, open_engine

JOBS = [Job(f"job {k}", k) for k in range(7)]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_every_job_is_done_once(workers):
    done = list(open_engine(EngineOptions(workers=workers), open_square).map(JOBS))
    assert sorted((job.name, result) for job, result in done) == [(f"job {k}", k * k) for k in range(7)]
    assert list(open_engine(EngineOptions(workers=workers), open_square).map([])) == []


def test_workers_are_fresh_processes_with_one_thread():
    seen = {result for _, result in open_engine(EngineOptions(workers=2), whoami).map(JOBS)}
    assert os.getpid() not in {pid for pid, _, _ in seen} and len({pid for pid, _, _ in seen}) == 2
    assert {threads for _, threads, _ in seen} == {os.environ.get("OMP_NUM_THREADS", "1")}
    assert {opened for _, _, opened in seen} == {1}  # a renderer is opened once in each


@pytest.mark.parametrize("workers", [0, 2])
def test_numpy_has_one_thread_wherever_a_job_runs(workers):
    for _, threads in open_engine(EngineOptions(workers=workers), blas_threads).map(JOBS):
        assert threads == {1}


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_names_the_job(workers):
    with pytest.raises(EngineError, match=r"job 3 failed \(ValueError\('no good number'\)\)"):
        list(open_engine(EngineOptions(workers=workers), fails).map(JOBS))


def test_a_process_that_dies_names_the_job():
    with pytest.raises(EngineError, match=r"job 3 failed .*exit code 7"):
        list(open_engine(EngineOptions(workers=2), dies).map(JOBS))


def test_a_failing_scene_names_its_shard(tmp_path):
    with pytest.raises(EngineError, match=r"shard-00001\.tar \(scenes 10 to 19\)"):
        write_fake(tmp_path, "crops", 24, make=partial(fails, 13), engine=EngineOptions(workers=2))


def test_ctrl_c_ends_the_workers(tmp_path):
    program = """
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
        sys.path[:0] = {paths!r}
        from engine_work import sleeps
        from prehend_training.engine import EngineOptions, Job, open_engine
        if __name__ == "__main__":
            list(open_engine(EngineOptions(workers=2), sleeps).map([Job(str(k), {out!r}) for k in range(2)]))
    """
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[3] / "training")]
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(program.format(paths=paths, out=str(tmp_path))))
    with subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob("*.pid"))) < 2:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
        errors = process.communicate(timeout=120)[1].decode()
    assert "KeyboardInterrupt" in errors and errors.count("Traceback") == 1
    for path in tmp_path.glob("*.pid"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.stem), 0)


def test_fewer_than_no_workers_are_refused():
    with pytest.raises(InvalidInput, match="0 is the least"):
        open_engine(EngineOptions(workers=-1), open_square)


def test_without_ray_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependency, match="ray"):
        open_engine(EngineOptions("ray"), open_square)


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    # the tests' own modules are not installed where the workers start
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR", runtime_env=environment)
    yield
    ray.shutdown()


def test_a_cluster_makes_the_same_bytes(cluster, crops, tmp_path):
    write_fake(tmp_path, "crops", 24, engine=EngineOptions("ray", workers=2))
    for name in ("shard-00000.tar", "shard-00001.tar", "shard-00002.tar"):
        assert (tmp_path / name).read_bytes() == (crops / name).read_bytes()


def test_errors_on_a_cluster_name_the_job(cluster):
    engine = open_engine(EngineOptions("ray", workers=2), fails)
    with pytest.raises(EngineError, match=r"job 3 failed .*no good number"):
        list(engine.map(JOBS))
    with pytest.raises(EngineError, match="job 3 failed"):
        list(open_engine(EngineOptions("ray", workers=2), dies).map(JOBS))
