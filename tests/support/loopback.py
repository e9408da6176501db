"""The private hosts of a downloader in tests: every port of this machine."""


class Loopback:
    def __contains__(self, place: object) -> bool:
        return isinstance(place, tuple) and place[0] == "127.0.0.1"


LOOPBACK = Loopback()
