"""Report: the results of a replay."""

from collections.abc import Iterator

from tfx_export.client.replay import ReplayedRequest
from tfx_export.exporting.verification.compare import compare


class Report:
    """Counts responses: equal to the logged ones, different, refused, or without a logged response."""

    def __init__(self, tolerance: float | None) -> None:
        self._tolerance = tolerance
        self.equal = self.different = self.refused = self.unanswered = 0
        self._worst: dict[str, float] = {}
        self._differences: list[dict[str, object]] = []

    @property
    def requests(self) -> int:
        return self.equal + self.different + self.refused + self.unanswered

    @property
    def problems(self) -> int:
        return self.different + self.refused

    def add(self, replayed: ReplayedRequest) -> Iterator[str]:
        """Counts one request. Returns a line for each problem with its response."""
        found = list(self._compare(replayed))
        if replayed.answer is None:
            self.refused += 1
        elif found:
            self.different += 1
        elif replayed.logged:
            self.equal += 1
        else:
            self.unanswered += 1
        self._differences += [{"record": replayed.index, "problem": text} for text in found]
        return iter([f"record {replayed.index}: {text}" for text in found])

    def summary(self) -> str:
        """Returns one line that sums up the replay."""
        parts = [f"{self.equal} equal", f"{self.different} different", f"{self.refused} refused"]
        if self.unanswered:
            parts.append(f"{self.unanswered} without a logged response to compare")
        worst = ", ".join(f"{output} {error:.2g}" for output, error in sorted(self._worst.items()))
        return f"{self.requests} requests: {', '.join(parts)}" + (f"; largest error: {worst}" if worst else "")

    def to_json(self) -> dict[str, object]:
        return {
            "requests": self.requests,
            "equal": self.equal,
            "different": self.different,
            "refused": self.refused,
            "not_compared": self.unanswered,
            "largest_error": self._worst,
            "differences": self._differences,
        }

    def _compare(self, replayed: ReplayedRequest) -> Iterator[str]:
        if replayed.answer is None:
            yield f"refused: {replayed.error}"
            return
        if not replayed.logged:
            return
        if replayed.answer.keys() != replayed.logged.keys():
            yield f"outputs {sorted(replayed.answer)}, logged outputs {sorted(replayed.logged)}"
        for output in sorted(replayed.answer.keys() & replayed.logged.keys()):
            expected, actual = replayed.logged[output], replayed.answer[output]
            if expected.shape == actual.shape and expected.size == 0:
                continue
            rows = len(expected) if expected.ndim else 1
            check = compare(replayed.signature, output, [expected], [actual], [rows], tolerance=self._tolerance)
            name = f"{replayed.model}/{replayed.signature}/{output}"
            if check.error is not None:
                self._worst[name] = max(check.error, self._worst.get(name, 0.0))
            if check.verdict == "differs":
                wrong = check.note or f"error {check.error:.3g}, allowed {check.tolerance:g}"
                yield f"{name} differs: {wrong}"
