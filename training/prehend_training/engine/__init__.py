"""Where scenes are made: in processes of this machine, or on many machines through Ray; the same call for both."""

from collections.abc import Callable

from prehend_training.engine.jobs import Engine, EngineError, EngineName, EngineOptions, Job, Work

__all__ = ["Engine", "EngineError", "EngineName", "EngineOptions", "Job", "Work", "open_engine"]


def open_engine(options: EngineOptions, open_work: Callable[[], Work]) -> Engine:
    """The engine of the options.

    Args:
        options: where jobs run.
        open_work: importable from its module; called once in each worker.

    Raises:
        MissingDependency: Ray is not installed.
    """
    if options.name == "ray":
        from prehend_training.engine.remote import RayEngine

        return RayEngine(open_work, options.workers, options.address, options.gpus_per_worker)
    from prehend_training.engine.local import LocalEngine

    return LocalEngine(open_work, options.workers)
