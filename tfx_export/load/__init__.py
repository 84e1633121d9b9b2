"""The load generator of `tfx-export bench`, `tfx-export tune` and the developers' benchmark.

`generator.measure` starts a process that keeps a fixed number of requests in flight on a fixed number of connections,
and sends the next request on a connection as soon as a response arrives. `http1` and `http2` write the same prepared
bytes again and again: a stock client would need more CPU time than the server that it measures, on the same cores.

The time before the first response, and a warmup of a quarter of the measured time after it, do not count. If no
response arrives in the measured time, the measurement lasts until the first one. The result is the number of responses
per second, the median and the 99th percentile of the latency, and the number of failures.
"""
