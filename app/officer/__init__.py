"""Officers: who they are in the corps, whether they are free, and where."""
