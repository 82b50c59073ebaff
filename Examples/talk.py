#!/usr/bin/env python3
"""Lets an avatar say a sound file, live (live.ts) and rendered (render.mp4). Usage: talk.py speech.wav [avatar]"""
import json
import os
import shutil
import sys
import threading
import urllib.parse
import urllib.request
import uuid

SERVER = os.environ.get("VISEME_SERVER", "http://127.0.0.1:8080")


def call(method, path, body=None, **headers):
    """An answer to read from. Errors are {"error": {"code", "message", "hint"}}."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if "VISEME_KEY" in os.environ:
        headers["Authorization"] = "Bearer " + os.environ["VISEME_KEY"]
    try:
        return urllib.request.urlopen(urllib.request.Request(SERVER + path, body, headers, method=method))
    except urllib.error.HTTPError as error:
        sys.exit(json.load(error)["error"]["message"])


def events(answer):
    """The data of server-sent events."""
    for line in answer:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def copy(answer, path):
    with open(path, "wb") as file:
        while piece := answer.read1(1 << 16):
            file.write(piece)
    print(path)


def live(speech, avatar):
    session = json.load(call("POST", "/v1/sessions", json.dumps({"avatar": avatar}).encode(), Content_Type="application/json"))
    here, secret = f"/v1/sessions/{session['id']}", {"Viseme-Session-Secret": session["secret"]}
    video = threading.Thread(target=copy, args=(call("GET", here + "/stream.ts", **secret), "live.ts"))
    video.start()
    status = events(call("GET", here + "/events", **secret))
    with open(speech, "rb") as file:
        # Samples may come as they are made, too: …/audio?format=s16le&rate=16000, in as many requests as you like.
        print(call("POST", here + "/audio", file.read(), Content_Type="audio/wav", **secret).read().decode())
    has_spoken = False
    for now in status:
        print(f"\r{now['state']}, {now['fps']:.0f} fps", end=" ")
        has_spoken = has_spoken or now["state"] == "speaking"
        if has_spoken and now["state"] == "idle":
            break
    call("DELETE", here, **secret)
    video.join()


def render(speech, avatar):
    query = urllib.parse.urlencode({"avatar": avatar})
    with open(speech, "rb") as file:
        # The same key with the same request gives the same job: send it again whenever the answer did not come.
        job = json.load(call("POST", f"/v1/renders?{query}", file.read(), Content_Type="audio/wav", Idempotency_Key=str(uuid.uuid4())))
    here = f"/v1/renders/{job['id']}"
    for job in events(call("GET", here + "/events")):
        print(f"\r{job['state']}, {job['framesDone']} of {job['framesTotal']} frames", end=" ")
    if job["state"] == "failed":
        sys.exit(job["error"]["message"])
    copy(call("GET", here + "/result"), "render.mp4")
    call("DELETE", here)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    arguments = (sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "robin")
    live(*arguments)
    render(*arguments)
