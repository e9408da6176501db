"""The stand-in for Oxen.ai, written from the API's own documents. Import `FakeOxen` from `server`."""
