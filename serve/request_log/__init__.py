"""The request log: a sample of requests and responses, written as TFRecord files."""
