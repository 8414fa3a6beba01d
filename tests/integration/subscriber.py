from pickstream import subscribe

for micrograph in subscribe("tcp://127.0.0.1:5590"):  # or several services
    x, y = micrograph.picks["x"], micrograph.picks["y"]  # and score, area; the best pick first
    print(micrograph.seq, micrograph.name, micrograph.status, len(x), flush=True)
