"""What helps the author of a plugin: a project to begin with, and a check before it is published."""
