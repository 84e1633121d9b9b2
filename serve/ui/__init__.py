"""Files of the page on the REST port."""
