"""Corpora, with one file for each; all implement `corpus.Corpus`."""
