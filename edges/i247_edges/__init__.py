"""Touch the world on behalf of all programs: sockets, databases, terminals, clocks."""
