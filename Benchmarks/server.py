#!/usr/bin/env python3
"""Sessions at once: `viseme serve` with so many watched sessions, so many of which speak without a pause. Prints JSON.

    Benchmarks/server.py --viseme .build/release/viseme --sessions 8 --speaking 1 --seconds 60
"""
import argparse
import http.client
import json
import os
import subprocess
import tempfile
import threading
import time
import wave

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def processor_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    return int(open(f"/proc/{pid}/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Session:
    def __init__(self, port):
        self.port = port
        status, answer = self.ask("POST", "/v1/sessions", json.dumps({"avatar": "robin"}))
        assert status == 201, answer
        self.path, self.headers = "/v1/sessions/" + answer["id"], {"Viseme-Session-Secret": answer["secret"]}
        self.status, self.bytes, self.first = {}, 0, None
        for body in (self.watch, self.listen):
            threading.Thread(target=body, daemon=True).start()

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None

    def stream(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", f"{self.path}/{name}", headers=self.headers)
        return connection.getresponse()

    def watch(self):
        response = self.stream("stream.mp4")
        # IncompleteRead at the end would be a stream that the server did not complete.
        while data := response.read1(65536):
            self.bytes += len(data)

    def listen(self):
        for line in self.stream("events"):
            if line.startswith(b"data:"):
                self.status = json.loads(line[5:])

    def speak(self, samples, rate, until):
        while time.time() < until:
            self.ask("POST", f"{self.path}/audio?format=s16le&rate={rate}", samples, self.headers)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--viseme", default=os.path.join(ROOT, ".build/release/viseme"))
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--speaking", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--settle", type=float, default=3, help="seconds before")
    parser.add_argument("--memory", help="megabytes for what is kept of the template")
    parser.add_argument("--avatars", help="a folder of packs to take robin from")
    options = parser.parse_args()
    with wave.open(os.path.join(ROOT, "samples/hello.wav")) as file:
        rate, samples = file.getframerate(), file.readframes(file.getnframes())
    with tempfile.TemporaryDirectory() as data:
        environment = dict(os.environ, VISEME_MAX_SESSIONS_PER_CLIENT="100", VISEME_MAX_SESSIONS="100",
                           VISEME_MAX_SPEAKING=str(max(1, options.speaking)))
        command = [options.viseme, "serve", "--port", "0", "--data", data]
        if options.memory:
            command += ["--memory", options.memory]
        if options.avatars:
            command += ["--avatars", options.avatars]
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        sessions = [Session(port) for _ in range(options.sessions)]
        time.sleep(options.settle)
        idle = resident(server.pid)
        start, busy = time.time(), processor_seconds(server.pid)
        before = [dict(session.status) for session in sessions]
        sent = [session.bytes for session in sessions]
        speakers = [threading.Thread(target=session.speak, args=(samples, rate, start + options.seconds), daemon=True)
                    for session in sessions[:options.speaking]]
        for speaker in speakers:
            speaker.start()
        time.sleep(options.seconds)
        took, busy = time.time() - start, processor_seconds(server.pid) - busy
        time.sleep(1.2)
        for session in sessions[:options.speaking]:
            session.ask("POST", f"{session.path}/interrupt", None, session.headers)
        rows = []
        for session, first, bytes_before in zip(sessions, before, sent):
            units = session.status["units"] - first["units"]
            lost = session.status["dropped"] - first["dropped"]
            rows.append({
                "speaks": session in sessions[:options.speaking], "units": units, "dropped": lost,
                "late": session.status["late"] - first["late"], "fps": round(25 * (units - lost) / units, 2),
                "kilobitsPerSecond": round((session.bytes - bytes_before) / took / 125),
                "firstFrame": session.status.get("firstFrame"), "interrupt": session.status.get("interrupt")})
        print(json.dumps({
            "sessions": options.sessions, "speaking": options.speaking, "seconds": round(took, 1),
            "cores": os.cpu_count(), "coresUsed": round(busy / took, 2),
            "idleMegabytes": round(idle / 1e6), "residentMegabytes": round(resident(server.pid) / 1e6), "rows": rows}, indent=1))
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main()
