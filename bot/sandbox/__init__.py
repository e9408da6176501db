"""Strict stand-ins for Discord, Oxen.ai and skills.video, and the demonstration that uses them.

The stand-ins are servers on loopback and refuse every request that the real API would refuse.
`discord/` is the stand-in for Discord; `oxen/` and `skills/` are the image APIs, built on
`http/` (servers and faults) and on the modules of this folder (generations, parameters, image
sizes). `drawing/` draws their pictures. `demo/` is `easel sandbox`, and `page/` renders the
page that a demonstration writes.

The command line imports `demo`, and tests import every part. The rest of Easel imports nothing
from here, and nothing here imports the rest of Easel: a stand-in takes the rules of an API from
the documentation of that API, so that a mistake in Easel fails against the stand-in.
"""
