"""Evaluation: scores, attention statistics, comparisons of runs, reports."""
