"""Scores, attention statistics, comparisons of runs, reports."""
