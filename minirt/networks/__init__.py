"""Who can see whom: networks, addresses, names, and ports of the machine that lead into a container."""
