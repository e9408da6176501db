"""The private hosts of a downloader in tests: every port of this machine. And its addresses."""


class Loopback:
    def __contains__(self, place: object) -> bool:
        return isinstance(place, tuple) and place[0] == "127.0.0.1"


class Addresses:
    def __contains__(self, url: object) -> bool:
        return str(url).startswith("http://127.0.0.1:")


LOOPBACK = Loopback()
ADDRESSES = Addresses()
