"""Verifies the written SavedModel: it runs in a separate process on the same inputs as its source, and must agree.

`verify.py` holds the steps. `probes.py` and `composite_probes.py` generate inputs, `isolated_run.py` runs the written
model in a fresh process (`isolated_run_worker.py`, which loads it with `loaded_model.py`), and `compare.py` compares
the outputs. `run_signature.py` uses the same fresh process for `tfx-export run`.
"""
