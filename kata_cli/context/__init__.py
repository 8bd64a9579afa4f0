"""What the models see of a project: named files, stdin, and the best pieces of the tree around a goal."""
