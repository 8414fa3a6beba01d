"""The service under load: latency, idling, a burst, and a long run. Prints what it measured.

    /usr/bin/python3 tests/bench/stream.py latency|idle|burst|soak ...

latency  300 micrographs, one every 50 ms: from the close of a file to the publication of its picks,
         and the same without reading and picking (what the service itself adds)
idle     processor time and memory over a minute without work
burst    5,000 micrographs that are there at the start, while an overflow of the kernel's queue is
         provoked by 40,000 other files: every one exactly one outcome
soak     10,000 micrographs: memory from outcome 1,000 to 10,000 (make soak), once with micrographs
         that are moved away after their outcome, once with all of them staying
"""

import os
import pathlib
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from service import Service, Subscriber
from support import PROGRAM

SIDE = 420


def make_content(directory):
    """The bytes of a small micrograph."""
    subprocess.run([PROGRAM, "synth", "--size", f"{SIDE}x{SIDE}", "--diameter", "34",
                    "--mode", "1", directory], check=True, stdout=subprocess.DEVNULL)
    return (directory / "synth_000001.mrc").read_bytes()


def resident_kb(service):
    status = pathlib.Path(f"/proc/{service.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def cpu_seconds(service):
    fields = pathlib.Path(f"/proc/{service.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def milliseconds(histogram):
    return (f"p50 {histogram['p50'] * 1e3:.2f} ms, p99 {histogram['p99'] * 1e3:.2f} ms"
            f" ({histogram['count']} observations)")


def latency():
    service = Service()
    content = make_content(service.home)
    with service, Subscriber(service) as subscriber:
        subscriber.connected()

        def write():
            begin = time.monotonic()
            for index in range(300):
                time.sleep(max(0, begin + index * 0.05 - time.monotonic()))  # the pace of the load
                (service.data / f"{index:05}.mrc").write_bytes(content)

        writer = threading.Thread(target=write)
        writer.start()
        subscriber.outcomes(300)
        writer.join()
        metrics = subscriber.status(lambda s: s["last_seq"] == 300)["metrics"]
        print("close to published:          ", milliseconds(metrics["latency_seconds"]))
        print("without reading and picking: ", milliseconds(metrics["overhead_seconds"]))
        print("commit to the journal:       ", milliseconds(metrics["commit_seconds"]))


def idle():
    # the settings of a real service, not the hasty ones of the tests
    service = Service("input.poll_seconds=10", "input.settle_seconds=5",
                      "publish.heartbeat_seconds=5")
    content = make_content(service.home)
    for index in range(100):
        (service.data / f"{index:05}.mrc").write_bytes(content)
    with service, Subscriber(service) as subscriber:
        subscriber.outcomes(100)
        before, memory = cpu_seconds(service), resident_kb(service)
        time.sleep(60)
        print(f"idle for a minute: {cpu_seconds(service) - before:.2f} s of processor time,"
              f" memory {memory} kB before, {resident_kb(service)} kB after")


def burst():
    service = Service("input.order=newest")
    content = make_content(service.home)
    for index in range(5000):
        (service.data / f"{index:05}.mrc").write_bytes(content)
    noise = service.data / "noise"
    noise.mkdir()
    with service, Subscriber(service) as subscriber:
        subscriber.connected()
        service.process.send_signal(19)  # SIGSTOP: the kernel's queue fills
        for index in range(40000):
            (noise / f"{index}.xml").touch()
        for index in range(5000, 5050):
            (service.data / f"{index:05}.mrc").write_bytes(content)
        service.process.send_signal(18)
        begin = time.monotonic()
        status = subscriber.status(lambda s: s["last_seq"] >= 5050)
        took = time.monotonic() - begin
        outcomes, last = subscriber.replay()
        names = sorted(outcome.name for outcome in outcomes)
        expected = [f"{index:05}.mrc" for index in range(5050)]
        print(f"burst: {last} outcomes in {took:.0f} s, {status['metrics']['overflows']} overflows of"
              f" the kernel's queue, every micrograph exactly once: {names == expected}")


def soak(total=10000):
    for stay in False, True:
        service = Service()
        content = make_content(service.home)
        with service, Subscriber(service) as subscriber:
            subscriber.connected()
            samples = {}
            written = done = 0
            while done < total:
                while written < total and written - done < 200:
                    (service.data / f"{written:06}.mrc").write_bytes(content)
                    written += 1
                outcome = subscriber.outcome()
                done += 1
                if not stay:
                    (service.data / outcome.name).unlink()
                if done % 1000 == 0:
                    samples[done] = resident_kb(service)
            print(f"soak, micrographs {'stay' if stay else 'are moved away'}: {samples[1000]} kB"
                  f" resident after 1000 outcomes, {samples[total]} kB after {total}:"
                  f" {(samples[total] / samples[1000] - 1) * 100:+.1f} %", flush=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or ["latency", "idle", "burst"]:
        {"latency": latency, "idle": idle, "burst": burst, "soak": soak}[name]()
