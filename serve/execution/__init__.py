"""Where a run executes.

Six decisions are made for a request, in this order. Each was measured by `make bench` on two cores (AMD Zen 3, no
AVX-512). The test at the end of an item fails if the decision stops working.

1. Which worker? (fronts/native/front.py, ports.py)
   With `--workers=N` the kernel assigns every new connection to one of N processes that share the ports. The server
   does not influence this, so a client with one connection stays with one worker. Two workers: 1.54 times the
   requests/s of one over gRPC, 1.41 times over REST. Test: serve/fronts/test_workers.py.

2. Which processor? (affinity.py, fronts/native/loop.py)
   Inside Envoy, pyvoy's dispatcher thread hands each request to the event loop's thread, and both need Python's global
   interpreter lock. Waking a thread on another processor takes about 50 us, so the dispatcher thread follows the event
   loop to its processor; the loop checks this every `loop.REQUESTS_PER_CHECK` requests. LiteRT over gRPC: 3,880 ->
   4,600 requests/s.
   If there are as many workers as processors, each worker is pinned to one of them, unless
   `--tensorflow_intra_op_parallelism` allows several threads per run, which would then share a processor.
   Tests: serve/fronts/test_native.py and test_workers.py, the tests with "processor" or "thread" in their names.

3. Merged with other requests? (serve/batching/runner.py)
   With `--enable_batching`, a request that arrives while no other waits or runs is run alone at once. Otherwise
   requests for one signature and the same outputs wait for each other, as the batching parameters say. A dense model
   (784-4096-4096-10) with 32 clients: 3.14 times the requests/s; MobileNetV2: 0.91 times, because one of its images
   costs as much in a batch as alone. Tests: serve/batching/.

4. On the event loop or in a pool? (runner.py, latency_tracker.py)
   Handing a run to another thread and back takes about 60 us, more than a small model computes. A signature runs on
   the event loop's own thread once QUICK_RUNS_BEFORE_LOOP runs in the pool took at most QUICK_SECONDS, for inputs up
   to that size. SLOW_RUNS_BEFORE_POOL slow runs in a row, or one longer than SLOW_SECONDS, move it off again for
   BACKOFF_RUNS runs, twice as many each time. Run times are CPU times where the thread may have waited for the lock or
   for a core (thread_time.py): judged by the wall clock, quick models under load stayed in the pool, with 2,000
   instead of 3,200 requests/s. Test: serve/execution/test_runner.py.

5. On which interpreter or session? (engines/litert.py, engines/tensorflow.py)
   A model up to MAX_DUPLICATED_BYTES is held twice, once for runs on a single thread and once for runs on all
   threads. A LiteRT interpreter serves one run at a time: a run borrows one that is prepared for its shapes, or any.
   TensorFlow's sessions serve any number of runs; a small program without control flow runs on TensorFlow's
   single-threaded executor, which saves 20 of about 80 us. Tests: serve/engines/test_litert.py, test_executor.py.

6. On one thread or on all? (thread_count.py)
   A run uses one thread until LONG_RUNS_BEFORE_TRIAL runs in a row took more than ONE_THREAD_SECONDS. Then TRIALS runs
   each way decide, for inputs of about that size. While other runs keep all cores busy, every run uses one thread.
   Handing 0.2 ms of work to a pool cost 200 of 730 us of CPU time per request; with two threads per run, 32 clients got
   64 images of MobileNetV2 per second, with one thread per run 120. Runs on all threads use dedicated threads
   (dedicated_threads.py), because oneDNN caches what it prepared by thread and shape, for one number of threads.
   `--tensorflow_intra_op_parallelism` fixes the number. Test: serve/execution/test_thread_count.py.

How they compose: 1 and 2 are fixed when the server starts. 3 and 4 belong to a runner and are decided for each
request; merged runs pass decision 4 too, with the elements of the whole batch. 5 and 6 belong to the loaded model and
are decided for each run, on the thread that decision 4 chose.
"""
