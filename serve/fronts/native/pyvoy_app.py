"""The module that pyvoy imports inside Envoy. Importing it changes the process, so nothing else may import it.

pyvoy takes an application as `module:attribute`, so the worker has to be made while its module is imported.
"""

from serve.fronts.native.worker import start_in_envoy

app = start_in_envoy()
