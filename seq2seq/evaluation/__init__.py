"""How good translations are, and where the model looked: scores, statistics, figures, reports."""
