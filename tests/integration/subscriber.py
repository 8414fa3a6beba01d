#!/usr/bin/python3
"""Prints every micrograph that pickstream picks. What was missed is asked for again."""
import json
import sys
import numpy
import zmq

live, replay = zmq.Context.instance().socket(zmq.SUB), zmq.Context.instance().socket(zmq.DEALER)
live.subscribe("picks")
live.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5590")
replay.connect(sys.argv[2] if len(sys.argv) > 2 else "tcp://127.0.0.1:5591")
last = {}  # seq of the last outcome of each stream: there are several behind a relay
while True:
    messages = [live.recv_multipart()]  # topic, header, array of picks
    header = json.loads(messages[0][1])
    known = last.setdefault(header["stream"], header["seq"] - 1)
    if header["seq"] > known + 1:  # something is missing
        replay.send_json({"request": "since", "seq": known, "stream": header["stream"]})
        messages = []
        while len(message := replay.recv_multipart()) > 1:  # a single frame is the end
            messages.append(message)
    for _topic, text, array, *_more in messages:
        header = json.loads(text)
        if header["seq"] <= last[header["stream"]]:
            continue  # had it before
        last[header["stream"]] = header["seq"]
        picks = numpy.frombuffer(array, "<f4").reshape(header["arrays"][0]["shape"])
        print(header["seq"], header["micrograph"]["name"], header["result"]["status"], len(picks),
              flush=True)
