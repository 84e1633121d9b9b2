"""The export spec: its data classes (model.py), read from YAML or flags, and drafted for a source."""
