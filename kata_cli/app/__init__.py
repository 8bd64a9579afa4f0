"""The composition root: the only room that names concrete classes and ties the others together."""
