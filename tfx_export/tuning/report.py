"""The report: an HTML page with a plot, a table, and the command that serves the model with the best setting."""

import os
import platform
from html import escape
from string import Template

from tfx_export.templates import templates
from tfx_export.tuning.setting import Trial
from tfx_export.tuning.tune import Tuning

# In pixels: the longest bar, the column of labels, the height of a row.
_BAR, _LABELS, _ROW = 460, 330, 26


def render_report(tuning: Tuning, command: str) -> str:
    """Returns the page as HTML. `command`: the command line that serves the model with the best setting."""
    setting = tuning.best.setting
    parameters = f"<pre>{escape(setting.parameters(tuning.clients))}</pre>" if setting.max_batch_size else ""
    return Template((templates("tune") / "report.html").read_text(encoding="utf-8")).substitute(
        model=escape(str(tuning.version)),
        clients=tuning.clients,
        machine=escape(f"{platform.node() or 'this machine'}, {os.cpu_count()} CPUs"),
        verdict=escape(verdict(tuning)),
        plot=_plot(tuning),
        rows="\n".join(_row(trial, trial is tuning.best) for trial in tuning.trials),
        command=escape(command),
        parameters=parameters,
    )


def verdict(tuning: Tuning) -> str:
    """Returns one sentence: the best setting, and its gain."""
    best = tuning.best
    unbatched = [trial for trial in tuning.trials if not trial.setting.max_batch_size]
    reference = max(unbatched, key=lambda trial: trial.measured.requests_per_second, default=best)
    if not best.setting.max_batch_size:
        return f"Batching does not help: the best setting is {best.setting}."
    gain = best.measured.requests_per_second / max(reference.measured.requests_per_second, 0.1)
    return f"The best setting is {best.setting}: {gain:.2f} times the requests/s without batching."


def _row(trial: Trial, is_best: bool) -> str:
    measured = trial.measured
    cells = f"<td>{escape(str(trial.setting))}</td><td>{measured.requests_per_second:.1f}</td>"
    cells += f"<td>{measured.p50_ms:.1f}</td><td>{measured.p99_ms:.1f}</td>"
    return f'<tr class="best">{cells}</tr>' if is_best else f"<tr>{cells}</tr>"


def _plot(tuning: Tuning) -> str:
    """Draws requests/s as bars, and p99 latencies as dots with a separate scale, as SVG."""
    most = max(trial.measured.requests_per_second for trial in tuning.trials) or 1.0
    slowest = max(trial.measured.p99_ms for trial in tuning.trials) or 1.0
    lines = []
    for index, trial in enumerate(tuning.trials):
        top = index * _ROW
        rate, p99 = trial.measured.requests_per_second, trial.measured.p99_ms
        colour = "#2e7d4f" if trial is tuning.best else "#9db8c9"
        lines += [
            f'<text x="0" y="{top + 17}">{escape(str(trial.setting))}</text>',
            f'<rect x="{_LABELS}" y="{top + 4}" width="{_BAR * rate / most:.1f}" height="18" fill="{colour}">'
            f"<title>{rate:.1f} requests/s</title></rect>",
            f'<text x="{_LABELS + 6}" y="{top + 17}">{rate:.1f}/s</text>',
            f'<circle cx="{_LABELS + _BAR * p99 / slowest:.1f}" cy="{top + 13}" r="5" fill="#c2402b">'
            f"<title>p99 {p99:.1f} ms</title></circle>",
        ]
    legend = len(tuning.trials) * _ROW + 18
    lines.append(
        f'<text x="{_LABELS}" y="{legend}">bars: requests/s (to {most:.1f}); dots: p99 (to {slowest:.1f} ms)</text>'
    )
    width, height = _LABELS + _BAR + 10, legend + 10
    elements = "\n".join(lines)
    return f'<svg role="img" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n{elements}\n</svg>'
