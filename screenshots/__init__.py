"""Pictures of the running app, and the script that takes them."""
