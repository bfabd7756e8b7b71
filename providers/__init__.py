"""The built-in plugins. They import the public plugin API only, as any other plugin does."""
