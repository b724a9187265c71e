"""The words of the language, a file for each family: what they take, and what they do."""
