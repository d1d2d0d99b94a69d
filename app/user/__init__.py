"""People with an account, and the keys that make their document and phone readable."""
