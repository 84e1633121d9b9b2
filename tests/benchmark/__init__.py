"""The developers' benchmark: measures the performance targets of this project, and other servers for comparison.

`make bench` runs it as `python -m tests.benchmark`. It is not part of the wheel; `tfx-export bench` is.
"""
