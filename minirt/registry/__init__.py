"""The distribution API: a client that pulls and pushes, and a small server."""
