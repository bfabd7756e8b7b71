"""What whoever runs a marketplace does: build it from a folder, check it, sign it, try it."""
