"""The files of the web page on the REST port."""
