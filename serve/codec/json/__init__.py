"""JSON requests and responses of the REST API, with TensorFlow Serving's grammar and error texts.

Predict, row format: one item for each row of the batch. An item is the value of the only input, or an object with one
value for each input. The response is `{"predictions": [...]}`, one item for each row:

    {"instances": [[1.0, 2.0], [3.0, 4.0]]}
    {"signature_name": "with_key", "instances": [{"x": [1.0, 2.0], "key": "a"}, {"x": [3.0, 4.0], "key": "b"}]}

Predict, columnar format: the whole batch of each input. The response is `{"outputs": ...}`:

    {"inputs": [[1.0, 2.0], [3.0, 4.0]]}
    {"inputs": {"x": [[1.0, 2.0], [3.0, 4.0]], "key": ["a", "b"]}}

Classify and Regress: one object of features for each tf.Example, and optionally features that all of them share. The
response is `{"results": [...]}`:

    {"context": {"country": "CH"}, "examples": [{"age": 41, "tags": ["a", "b"]}, {"age": 17}]}

- `signature_name` may be missing or empty: `serving_default`.
- A value is a number, a string, true or false, or lists of them nested to any rank. A list must not be ragged.
- A number for an integer input has neither a fraction nor an exponent.
- Bytes are written as `{"b64": "..."}`; a plain string is sent to the model as UTF-8.
- NaN, Infinity and -Infinity are bare words in requests and responses. Requests may also have -NaN, Inf and -Inf.
- Unknown keys, and anything after the document, are ignored. The meaning of a repeated key is not defined.

A predict request is tried by these readers in this order. Each is faster than the next and reads fewer requests; all
give the same arrays. A fast reader raises `UnsupportedLayoutError` for a request that the next one should read.

1. Layout cache (predict_request.py): one row of numbers, inside text that has been seen before. Only the row is parsed.
2. Fast path (fast_path.py): arrays of numbers, copied from simdjson's tape. The tape does not show whether a list is
   ragged, so the structure of the text is compared with that of the array.
3. Python values (arrays.py): everything else that is correct, and the error text of everything that is not.

Readers 2 and 3 work on a parsed document. The parsers (parse.py) are tried in this order: simdjson (plain JSON), the
standard library (also NaN, Infinity and invalid UTF-8), and the lenient parser (parse_lenient.py: any nesting depth,
Inf, and the error text and offset of a document that is not JSON).
"""
