"""Memory and descriptors of a running process, from /proc."""

import os


class Process:
    """By its number."""

    def __init__(self, number):
        self.number = number

    def megabytes(self):
        """Resident."""
        with open(f"/proc/{self.number}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.number}/fd"))

    def seconds(self):
        """CPU time."""
        with open(f"/proc/{self.number}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
