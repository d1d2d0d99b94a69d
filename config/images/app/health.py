"""Liveness as Docker asks it: exit 0 when GET /health/live answers 200.

A bare socket, not an HTTP client: it runs every few seconds, and `python -I -S` with this starts in 20 ms.
"""

import socket
import sys

with socket.create_connection(("127.0.0.1", 8000), timeout=2.5) as server:
    server.sendall(b"GET /health/live HTTP/1.0\r\nHost: 127.0.0.1\r\nUser-Agent: gad-health\r\n\r\n")
    status = server.recv(64).split(b" ", 2)[1:2]
sys.exit(status != [b"200"])
