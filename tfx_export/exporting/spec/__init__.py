"""The export spec: what the SavedModel shall contain, said by a YAML file, by flags, or by an `ExportSpec` object.

`model.py` holds the data classes and their defaults. `from_yaml.py` reads a spec file and `from_flags.py` the flags
that describe signatures; both produce an `ExportSpec`. `merge.py` combines the sources of a spec, and says which one
wins. `draft.py` writes the spec file that describes a source as it is. No module here imports TensorFlow.
"""
