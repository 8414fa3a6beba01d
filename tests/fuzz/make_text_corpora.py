#!/usr/bin/python3
"""Writes corpus/config, keys, frames, address and request beside this script, as the fuzzers of those
names take them.

The same files every time; run it after changing it and commit what it wrote.
"""

import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent
CONTROL, DELIMITER, TWICE = 1, 2, 4
KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
OTHER = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"


def config():
    yield "template", (HERE.parents[1] / "conf/pickstream.ini").read_text()
    yield "set", ("[input]\ndirectories = /data \"/with blank\"\n    /more, /and\nsettle_seconds = 2.5\n"
                  "[picker]\nparticle_diameter = 180 A ; a comment\nmin_score = none\n"
                  "[output]\nformats = star, json\n[publish]\nendpoint = tcp://127.0.0.1:*\n")
    yield "lengths", "[picker]\nparticle_diameter = 64 px\n[output]\nbox = 96px\n"
    yield "all_kinds", ("[compute]\nbackend = cuda:1\ndevices = 0, 1\nmax_pixels = 1000000\n"
                        "[http]\nlisten = 127.0.0.1:0\ncontrol = yes\n[service]\nlog_level = debug\n")
    yield "bom_and_cr", "\ufeff[picker]\r\nparticle_diameter = 64px\r\n"
    yield "unknown_key", "[picker]\nparticle_diametre = 64px\n"
    yield "unknown_section", "[pickr]\n"
    yield "no_section", "particle_diameter = 64px\n"
    yield "twice", "[picker]\nparticle_diameter = 64px\nparticle_diameter = 65px\n"
    yield "behind_section", "[picker] text\n"
    yield "open_section", "[picker\n"
    yield "no_equals", "[picker]\nparticle_diameter\n"
    yield "long_line", "[input]\ninclude = " + "a" * 300 + "\n"
    yield "quotes", "[input]\ninclude = \"a\\\"b\" \"c\\\\\" \"open\n"
    yield "ranges", "[compute]\nqueue_length = -1\nthreads = 1e99\n"
    yield "nan", "[picker]\nparticle_diameter = nan\n"
    yield "nul", "[picker]\nparticle_diameter = 6\x004px\n"
    yield "control", "[picker]\nparticle_diameter = \x1b[31m\n"
    yield "latin1", b"[publish]\nsession = \xe9\n"
    yield "empty", ""


def keys():
    yield "key", KEY + "\n"
    yield "keys", f"# two\n{KEY} # one\n\n  {OTHER}\r\n"
    yield "no_newline", KEY
    yield "comments", "# a\n#\n\n"
    yield "short", KEY[:-1] + "\n"
    yield "long", KEY + "x\n"
    yield "not_z85", KEY[:-1] + "~\n"
    yield "overflow", "#" * 40 + "\n"
    yield "rest", f"{KEY} rest\n"
    yield "nul", KEY[:20] + "\0" + KEY[20:] + "\n"
    yield "empty", ""


def blob(*frames, count=None, lengths=None):
    data = struct.pack("<I", len(frames) if count is None else count)
    data += struct.pack(f"<{len(frames)}I", *(lengths or map(len, frames)))
    for frame in frames:
        data += bytes(-len(data) % 8) + frame
    return data


def frames():
    yield "one", blob(b"{}")
    yield "three", blob(b"picks", b'{"seq":1}', bytes(32))
    yield "empty_frames", blob(b"", b"", b"")
    yield "none", blob()
    yield "many", blob(*[b"x"] * 40)
    yield "count_huge", blob(b"a", count=2**32 - 1)
    yield "length_huge", blob(b"a", b"b", lengths=[2**32 - 1, 1])
    yield "length_wraps", blob(b"abc", b"defg", lengths=[2**32 - 8, 12])
    yield "surplus", blob(b"a") + b"b"
    yield "cut", blob(b"picks", b"{}", bytes(32))[:-1]
    yield "cut_head", blob(b"picks", b"{}")[:6]
    yield "empty", b""


def address():
    for number, text in enumerate([
            "127.0.0.1:5590", "localhost", "LOCALHOST:80", "[::1]", "[::1]:80", "[0:0:0:0:0:0:0:1]:0",
            "127.0.0.1.evil.org", "localhost.evil.org:80", "evil.org", "*:80", "0.0.0.0:80", "[::]:80",
            "127.0.0.1:99999", "127.0.0.1:-1", "127.1:80", "[::ffff:127.0.0.1]:80", "[fe80::1%eth0]:80",
            "[::1", "::1", ":80", "localhost:", "a" * 100 + ":1", "127.0.0.1:80:81", "[::1]x:80",
            "tcp://127.0.0.1:5590", "tcp://localhost:*", "tcp://*:5590", "tcp://[::1]:5590",
            "tcp://127.0.0.1@evil:80", "tcp://eth0:5590", "tcp://127.0.0.1", "tcp://:80", "tcp://",
            "ipc:///run/pickstream/pub.sock", "ipc://@abstract", "ipc://*", "ipc://", "ipc://" + "p" * 120,
            "udp://127.0.0.1:1", "inproc://x", "tcp://127.0.0.1:70000", ""]):
        yield f"{number:02}", text


def request():
    whole = ['{"request":"since","seq":0}', '{"request":"hello"}', '{"request":"status"}',
             '{"request":"micrograph","name":"a.mrc"}', '{"request":"retry"}',
             '{"request":"retry","paths":["a.mrc","b"]}',
             '{"request":"micrograph","name":"a%2Fb","encoding":"percent"}']
    for number, text in enumerate(whole):
        yield f"whole{number}", bytes([CONTROL]) + text.encode()
        yield f"whole{number}_delimiter", bytes([DELIMITER]) + text.encode()
    wrong = ['{"request":"since","seq":-1}', '{"request":"since","seq":1e3}', '{"request":"since"}',
             '{"request":7}', '{"request":"micrograph"}', '{"request":"micrograph","name":7}',
             '{"request":"retry","paths":{}}', '{"request":"retry","paths":[1]}', "[]", "{", "",
             '{"request":"x"}', '{"request":"hello","request":"hello"}', "[" * 3000,
             '{"request":"since","seq":9223372036854775807}',
             '{"request":"since","seq":99999999999999999999}',
             '{"request":"hello","stream":"x"}', '{"request":"hello","stream":7}',
             '{"request":"micrograph","name":"%zz","encoding":"percent"}',
             '{"request":"micrograph","name":"\\u0000"}']
    for number, text in enumerate(wrong):
        yield f"wrong{number:02}", bytes([CONTROL]) + text.encode()
    yield "twice", bytes([TWICE]) + whole[1].encode()
    yield "not_utf8", bytes([0]) + b'{"request":"\xff"}'


def main():
    for maker in config, keys, frames, address, request:
        folder = HERE / "corpus" / maker.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in maker():
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


if __name__ == "__main__":
    main()
