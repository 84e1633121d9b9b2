"""The sources of an export: each is opened as a `SourceGraph` (source_graph.py), the one form that is exported."""
