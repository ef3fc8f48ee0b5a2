"""What a backend can be told: the same for all of them; each refuses what it cannot do."""

from dataclasses import dataclass
from pathlib import Path

from prehend.errors import ParameterError
from prehend.files import cache_folder

PROVIDERS = ("", "cpu", "cuda", "tensorrt", "openvino")
"""What a backend runs on; "" leaves it to the backend."""

PRECISIONS = ("float32", "float16", "bfloat16", "int8")
"""Numbers that a network is run in."""

POLICIES = ("require", "build", "fallback")
"""What happens where something cannot run as asked: it fails and says why; the engine that is missing or does not fit
is built first, which is told; the default backend on the processor answers instead, which is told too."""

FULL = "float32"


@dataclass(frozen=True)
class BackendSettings:
    """All that `open_backend` can be told.

    Attributes:
        threads: of the processor, 0 for all.
        provider: one of `PROVIDERS`.
        precision: one of `PRECISIONS`; one that is not float32 needs an engine (see `engine_files`), whose manifest
            says what it costs in millimetres.
        compiled: backend `torch` compiles the network first (`torch.compile`).
        engine_policy: one of `POLICIES`.
        engine_dir: folder of the engines, None for the one in the cache folder.

    Raises:
        ParameterError: a value is not among those.
    """

    threads: int = 0
    provider: str = ""
    precision: str = FULL
    compiled: bool = False
    engine_policy: str = "require"
    engine_dir: Path | None = None

    def __post_init__(self) -> None:
        allowed = {"provider": PROVIDERS, "precision": PRECISIONS, "engine_policy": POLICIES}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                names = ", ".join(value for value in values if value)
                raise ParameterError(f"{name} is '{getattr(self, name)}', expected one of {names}")
        if self.threads < 0:
            raise ParameterError(f"threads is {self.threads}, expected 0 or more")

    @property
    def engines(self) -> Path:
        """Folder of the engines."""
        return cache_folder() / "engines" if self.engine_dir is None else Path(self.engine_dir)

    def only(self, backend: str, providers: tuple[str, ...], precisions: tuple[str, ...] = PRECISIONS) -> str:
        """The provider, once it is seen that a backend has it and the precision.

        Raises:
            ParameterError: it has not.
        """
        provider = self.provider or providers[0]
        if provider not in providers:
            raise ParameterError(f"backend '{backend}' runs on {', '.join(providers)}, not on provider '{provider}'")
        if self.precision not in precisions:
            raise ParameterError(f"backend '{backend}' runs in {', '.join(precisions)}, not in '{self.precision}'")
        if self.compiled and backend != "torch":
            raise ParameterError(f"backend '{backend}' is compiled as it is: `compiled` is for backend 'torch'")
        return provider
