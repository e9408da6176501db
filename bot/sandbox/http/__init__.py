"""Parts that all stand-ins share: servers on loopback, faults on request, outages."""
