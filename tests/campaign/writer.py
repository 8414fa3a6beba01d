"""A writer that does to a watched directory what microscopes, users and copy programs do: creates in
pieces, rewrites, renames, deletes, truncates, hard-links micrographs of a few known contents."""

import os
import random
import threading
import time


class Writer(threading.Thread):
    """Works until stop(); then every file is closed, and what is there stays."""

    ROOM = 60  # files; beyond it some are deleted

    def __init__(self, directory, contents, seed, pause=0.05):
        super().__init__(name="writer")
        self.directory = directory
        self.contents = contents  # bytes of whole micrographs
        self.random = random.Random(seed)
        self.pause = pause
        self.number = 0
        self.operations = 0
        self.stopping = threading.Event()
        self.error = None

    def stop(self):
        self.stopping.set()
        self.join()
        if self.error:
            raise self.error

    def run(self):
        actions = [(self.create, 8), (self.create_hidden, 4), (self.rewrite, 3), (self.replace, 2),
                   (self.rename, 2), (self.rename_over, 1), (self.delete, 2), (self.truncate, 1),
                   (self.hard_link, 2), (self.rename_directory, 1)]
        try:
            while not self.stopping.is_set():
                action = self.random.choices([a for a, _ in actions], [w for _, w in actions])[0]
                action()
                self.operations += 1
                self.stopping.wait(self.random.expovariate(1 / self.pause))
        except BaseException as error:  # the campaign raises it again
            self.error = error

    # ---- names -----------------------------------------------------------------------------------

    def files(self):
        return sorted(self.directory.rglob("*.mrc"))

    def some(self):
        """One of the files, or None."""
        files = self.files()
        return self.random.choice(files) if files else None

    def new(self):
        self.number += 1
        grid = self.random.choice(["", "", "Grid1", "Grid2"])
        (self.directory / grid).mkdir(exist_ok=True)
        return self.directory / grid / f"m{self.number:05}.mrc"

    def content(self):
        return self.random.choice(self.contents)

    # ---- what it does ----------------------------------------------------------------------------

    def write_in_pieces(self, path):
        content = self.content()
        pieces = self.random.randrange(1, 5)
        step = -(-len(content) // pieces)
        with path.open("wb", buffering=0) as file:
            for at in range(0, len(content), step):
                file.write(content[at:at + step])
                time.sleep(self.random.random() * self.pause)

    def create(self):
        if len(self.files()) >= self.ROOM:
            self.delete()
        self.write_in_pieces(self.new())

    def create_hidden(self):
        """Under another name that is changed at the end, as rsync does."""
        path = self.new()
        hidden = path.with_name(f".{path.name}.part")
        self.write_in_pieces(hidden)
        hidden.rename(path)

    def rewrite(self):
        if path := self.some():
            self.write_in_pieces(path)

    def replace(self):
        """Another file under the name."""
        if path := self.some():
            hidden = path.with_name(f".{path.name}.part")
            self.write_in_pieces(hidden)
            hidden.rename(path)

    def rename(self):
        if path := self.some():
            path.rename(self.new())

    def rename_over(self):
        path, other = self.some(), self.some()
        if path and other != path and not os.path.samefile(path, other):
            path.rename(other)

    def rename_directory(self):
        name = self.random.choice(["Grid1", "Grid2"])
        if (self.directory / name).is_dir():
            self.number += 1
            (self.directory / name).rename(self.directory / f"{name}_{self.number}")

    def delete(self):
        if path := self.some():
            path.unlink()

    def truncate(self):
        if path := self.some():
            os.truncate(path, self.random.randrange(os.stat(path).st_size + 1))

    def hard_link(self):
        if path := self.some():
            os.link(path, self.new())
