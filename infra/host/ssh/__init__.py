"""SSH: the server's and the client's whole configuration, host keys, moduli."""
