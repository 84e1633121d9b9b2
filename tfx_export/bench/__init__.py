"""`tfx-export bench`: how fast a model is served, compared with an echo server and with the signature in process."""
