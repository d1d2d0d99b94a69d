"""Everything around the application, as code."""
