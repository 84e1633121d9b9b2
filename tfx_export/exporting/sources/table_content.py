"""What a lookup table holds, and a table that holds the same in another graph."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np
import tensorflow as tf

from tfx_export.errors import SourceError


@dataclass(frozen=True)
class TableContent:
    """`keys` (entries); `values` (entries), or (entries, ...) in a table of vectors."""

    keys: Any
    values: Any

    @classmethod
    def exported(cls, keys: Any, values: Any) -> "TableContent":
        """From what LookupTableExport answers. Raises SourceError for keys that are vectors."""
        if keys.ndim == 1:
            return cls(keys, values)
        if keys.shape[1] != 1:
            raise SourceError(
                "The model uses a lookup table whose keys are vectors; that cannot be copied into a graph.",
                hint="Make one key of each: a number, or a string.",
            )
        # A dense table gives all its buckets. Those in use have a key of their own, the others one in common.
        _, places, counts = np.unique(keys[:, 0], return_index=True, return_counts=True)
        used = np.sort(places[counts == 1])
        return cls(keys[used, 0], values[used])

    def rebuild(self, name: str = "") -> Any:
        """The handle of a table in the graph that is the default; what fills it is among its initializers.

        By `name` the resource is known; without one it gets a name of its own. What a look-up finds for a key that the
        table lacks is an input of the look-up.
        """
        dtypes = {"key_dtype": tf.as_dtype(self.keys.dtype), "value_dtype": tf.as_dtype(self.values.dtype)}
        name = name or f"table_{uuid4()}"
        if self.values.ndim == 1:
            handle = tf.raw_ops.HashTableV2(**dtypes, shared_name=name)
        else:
            shape = self.values.shape[1:]
            handle = tf.raw_ops.MutableHashTableOfTensorsV2(**dtypes, value_shape=shape, shared_name=name)
        keys, values = (tf.constant(array, tf.as_dtype(array.dtype)) for array in (self.keys, self.values))
        filler = tf.raw_ops.LookupTableImportV2(table_handle=handle, keys=keys, values=values)
        tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS, filler)
        return handle
