"""Setting and Trial: a way to run the server, and its measurement."""

from dataclasses import asdict, dataclass

from tfx_export.load.generator import Measurement


@dataclass(frozen=True)
class Setting:
    """A way to run the server. `max_batch_size` 0 means no batching; the other fields then have no effect."""

    engine: str
    max_batch_size: int = 0
    timeout_micros: int = 0
    threads: int = 0

    def __str__(self) -> str:
        if not self.max_batch_size:
            return f"{self.engine}, no batching"
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.engine}, batches of {self.max_batch_size}, {self.timeout_micros} us, {threads}"

    def parameters(self, clients: int) -> str:
        """Returns a batching parameters file. Its queue holds twice the requests that `clients` can have in flight."""
        values = {
            "max_batch_size": self.max_batch_size,
            "batch_timeout_micros": self.timeout_micros,
            "max_enqueued_batches": max(10, -(-2 * clients // self.max_batch_size)),
            "num_batch_threads": self.threads,
        }
        return "".join(f"{name} {{ value: {value} }}\n" for name, value in values.items())


@dataclass(frozen=True)
class Trial:
    """A setting and its measurement."""

    setting: Setting
    measured: Measurement

    def to_json(self) -> dict[str, object]:
        """Returns the setting and the measurement in one object, with latencies in milliseconds."""
        return {
            **asdict(self.setting),
            "requests_per_second": round(self.measured.requests_per_second, 1),
            "p50": round(self.measured.p50_ms, 3),
            "p99": round(self.measured.p99_ms, 3),
        }
