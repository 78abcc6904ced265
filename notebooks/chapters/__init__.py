"""What one chapter needs, beside it: `from chapters import chNN_name` in its notebook."""
