"""The server on a Ray cluster: a Core in each replica of a Ray Serve deployment, behind Ray's proxies.

Only `application` and `program` import Ray. The package is not named `ray`, to keep it apart from Ray itself.
"""
