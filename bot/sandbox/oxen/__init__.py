"""The stand-in for Oxen.ai, written from the API's documents. Import `FakeOxen` from `server`."""
