"""A page to look at: sentences, what models made of them, and where the models looked."""
