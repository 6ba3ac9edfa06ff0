"""The exploration page: sentences, the answers of models, and their attention."""
