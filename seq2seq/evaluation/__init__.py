"""How good outputs are, where the model looked, how runs compare: scores, statistics, reports."""
