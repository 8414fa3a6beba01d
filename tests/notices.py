"""What a service tells people: a program for notify.command that hands its notices to the test."""

import json
import os
import select
import time

from service import PATIENCE


class Notices:
    """A fifo, and a shell script that writes its standard input to it."""

    def __init__(self, directory, before=""):
        self.fifo = directory / "notices"
        self.script = directory / "tell me"
        os.mkfifo(self.fifo)
        self.script.write_text(f"#!/bin/sh\n{before}\ncat > '{self.fifo}'\n")
        self.script.chmod(0o755)
        self.file = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)
        self.rest = b""

    @property
    def setting(self):
        return f'notify.command="{self.script}" "two words" $(false)'

    def next(self, event=None):
        """The next notice; of this event, if one is named: others are dropped."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                notice, end = json.JSONDecoder().raw_decode(self.rest.decode())
                self.rest = self.rest[end:].lstrip()
                if event in (None, notice["event"]):
                    return notice
            except ValueError:  # not all of it
                left = deadline - time.monotonic()
                assert left > 0 and select.select([self.file], [], [], left)[0], f"no notice {event}"
                self.rest += os.read(self.file, 1 << 16)

    def close(self):
        os.close(self.file)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
