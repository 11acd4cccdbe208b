"""The command line: a client of the HTTP API, and the door to running a server."""
