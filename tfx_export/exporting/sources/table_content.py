"""The content of a lookup table, and a copy of the table in another graph."""

from dataclasses import dataclass
from uuid import uuid4

import numpy as np
import tensorflow as tf

from tfx_export.errors import SourceError


@dataclass(frozen=True)
class TableContent:
    """`keys` has shape `[entries]`; `values` has `[entries]`, or `[entries, ...]` in a table of vectors."""

    keys: np.ndarray
    values: np.ndarray

    @classmethod
    def exported(cls, keys: np.ndarray, values: np.ndarray, *, scalars: bool = True) -> "TableContent":
        """Returns the content from the result of LookupTableExport. Raises SourceError if the keys are vectors.

        `scalars` tells what the values of a dense table are if they come as `[entries, 1]`: numbers, or vectors.
        """
        if keys.ndim == 1:
            return cls(keys, values)
        if keys.shape[1] != 1:
            raise SourceError(
                "The model uses a lookup table whose keys are vectors, which cannot be copied into a graph.",
                hint="Use one number or string as the key.",
            )
        # A dense table exports all its buckets. A bucket in use has a unique key; all empty buckets have the same key.
        _, places, counts = np.unique(keys[:, 0], return_index=True, return_counts=True)
        used = np.sort(places[counts == 1])
        if scalars and values.shape[1:] == (1,):
            values = values[:, 0]
        return cls(keys[used, 0], values[used])

    def rebuild(self, name: str = "") -> tf.Tensor:
        """Adds a table with this content, and its initializer, to the default graph. Returns the table's handle.

        `name` is the name of the resource; without it, the resource gets a unique name. The default value for missing
        keys is not part of the table: it is an input of each lookup.
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
