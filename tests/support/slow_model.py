"""The model `slow` of served_models.py: it is busy for as many turns as its input `loops` says."""

# Turns that take about a second on one core; longer on a busy machine.
SECOND = 1_500_000
