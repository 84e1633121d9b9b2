"""The server: answers TensorFlow Serving's protocols for the models in a folder. Started with `python -m serve`."""
