"""Classification and Regression -> ClassificationResult and RegressionResult."""

from serve.inference import Classification, Regression
from tfx_export import wire


def fill_classification(result: wire.Message, answer: Classification) -> None:
    """One Classifications for each example, one Class for each label or score."""
    labels = answer.labels.tolist() if answer.labels is not None else None
    scores = answer.scores.tolist() if answer.scores is not None else None
    for row in range(len(labels if labels is not None else scores or ())):
        classes = result.classifications.add().classes
        if labels is None:
            for score in scores[row] if scores is not None else ():
                classes.add(score=score)
        else:
            for column, label in enumerate(labels[row]):
                # The field is text: what is no UTF-8 cannot be sent as it is.
                added = classes.add(label=label if isinstance(label, str) else label.decode("utf-8", "replace"))
                if scores is not None:
                    added.score = scores[row][column]


def fill_regression(result: wire.Message, answer: Regression) -> None:
    """One Regression for each example."""
    for value in answer.values.tolist():
        result.regressions.add(value=value)
