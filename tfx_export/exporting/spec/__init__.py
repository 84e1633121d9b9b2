"""The export spec: the content of the SavedModel to write, from a YAML file, from flags, or from an `ExportSpec`.

`model.py` holds the data classes and their defaults. `from_yaml.py` reads a spec file and `from_flags.py` the flags
that describe signatures; both produce an `ExportSpec`. `merge.py` combines them, and decides which one wins.
`draft.py` writes the spec file that describes a source as it is. No module here imports TensorFlow.
"""
