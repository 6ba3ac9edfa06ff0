"""Corpora: one file each; a corpus is what `corpus.Corpus` describes."""
