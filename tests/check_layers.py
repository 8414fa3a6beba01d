#!/usr/bin/env python3
"""Checks that includes point downwards only.

    check_layers.py [BUILD]

A folder may include the folders that LAYERS lists for it, and no others. No include cycle may exist
between folders, nor between files of one folder; NAME.c and NAME.h count as one file, and so do
FOLDER/internal.h and FOLDER/FOLDER.h. With the directory of a build the symbols of its objects are
checked too: no two files may call each other behind a header that declares both.

Prints every violation, and exits with 1 if there is one.
"""

import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]

# Lowest first. A new folder goes below everything that includes it.
LAYERS = """
    base:
    formulas:     base
    kernels:      formulas
    image:        base formulas
    config:       base image
    backend:      base formulas image config
    backend/cpu:  base formulas image backend
    backend/cuda: base formulas image backend kernels
    picker:       base formulas image config backend
    particles:    base image config
    picture:      base image
    synth:        base image
    wire:         base image particles picture
    picks:        base image config particles wire
    layout:       config
    watch:        base image config layout
    transport:    base wire
    journal:      base image wire watch
    publish:      base image config particles picker picture wire transport watch journal
    subscribe:    base wire transport
    relay:        base config wire transport publish
    http/view:
    http:         base config picture wire journal http/view
    service:      base image config layout picker wire picks watch journal publish http
    cli:          base image config layout backend backend/cpu picker picture synth wire picks
                  transport journal subscribe relay service
"""

INCLUDE = re.compile(r'^\s*#\s*include "([^"]+)"', re.M)


def read_layers():
    layers = {}
    for word in LAYERS.split():
        if word.endswith(":"):
            allowed = layers[word[:-1]] = []
        else:
            allowed.append(word)
            if word not in layers:
                sys.exit(f"check_layers: {word} must stand above the folders that include it")
    return layers


def find_sources():
    """Every source file by the path that others include it with."""
    paths = [(path, path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*")]
    paths += [(path, path.relative_to(ROOT)) for path in (ROOT / "kernels").iterdir()]
    return {str(name): path for path, name in paths if path.suffix in (".c", ".h", ".def", ".cu")}


def folder_of(name):
    return str(pathlib.PurePath(name).parent)


def module_of(name):
    path = pathlib.PurePath(name)
    stem = path.parent.name if path.name == "internal.h" else path.stem
    return str(path.parent / stem)


def find_cycle(graph):
    """A cycle as a list of nodes that begins and ends with the same one; None if there is none."""
    done = set()

    def visit(node, trail):
        if node in trail:
            return trail[trail.index(node):] + [node]
        if node in done:
            return None
        done.add(node)
        for target in sorted(graph.get(node, ())):
            cycle = visit(target, trail + [node])
            if cycle:
                return cycle
        return None

    for node in sorted(graph):
        cycle = visit(node, [])
        if cycle:
            return cycle
    return None


def check_includes(layers):
    sources = find_sources()
    modules, used = collections.defaultdict(set), collections.defaultdict(set)
    for name, path in sorted(sources.items()):
        folder = folder_of(name)
        for include in INCLUDE.findall(path.read_text(encoding="utf-8")):
            target = include if include in sources else f"kernels/{include}"
            if target not in sources:
                continue  # the public headers, and what the build makes
            if module_of(target) != module_of(name):
                modules[module_of(name)].add(module_of(target))
            if folder_of(target) == folder:
                continue
            used[folder].add(folder_of(target))
            if folder_of(target) not in layers.get(folder, ()):
                yield f"{path.relative_to(ROOT)}: {folder or '.'} must not include {target}"
    for folder, allowed in layers.items():
        for unused in sorted(set(allowed) - used[folder]):
            yield f"tests/check_layers.py: {folder} no longer includes {unused}: remove it there"
    for what, graph in (("folders", used), ("files", modules)):
        cycle = find_cycle(graph)
        if cycle:
            yield f"{what} include each other: {' -> '.join(cycle)}"


def check_symbols(build):
    """Calls between the objects of src; variants of one source by instruction set are one."""
    defined, wanted = {}, collections.defaultdict(set)
    for path in sorted((build / "src").rglob("*.o")):
        source = path.relative_to(build).with_name(path.name.split(".")[0] + ".c")
        if not (ROOT / source).exists():
            continue  # of a file that was moved
        done = subprocess.run(["nm", "-P", path], stdout=subprocess.PIPE, encoding="utf-8", check=True)
        for line in done.stdout.splitlines():
            symbol, kind = line.split()[:2]
            if kind == "U":
                wanted[str(source)].add(symbol)
            elif kind.isupper():
                defined[symbol] = str(source)
    calls = {
        source: {defined[symbol] for symbol in symbols if symbol in defined} - {source}
        for source, symbols in wanted.items()
    }
    cycle = find_cycle(calls)
    if cycle:
        yield f"files call each other: {' -> '.join(cycle)}"
    if not defined:
        yield f"{build}: no objects there"


def main():
    violations = list(check_includes(read_layers()))
    for build in sys.argv[1:2]:
        violations += check_symbols(pathlib.Path(build).resolve())
    for violation in violations:
        print(violation, file=sys.stderr)
    sys.exit(1 if violations else 0)


main()
