"""Notes every request and every answer on the wire, as it is, in wire.jsonl; for extensions and for the runtime."""

import json
import os
import socket
import threading
import time

LOG = os.open(os.environ.get("TMPDIR", "/tmp") + "/wire.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)


def note(actor, kind, **what):
    os.write(LOG, (json.dumps({"at": time.time(), "actor": actor, "kind": kind, **what}) + "\n").encode())


def read_message(stream):
    """The bytes of one HTTP message, its first line, headers and body; None at the end of the stream."""
    first = stream.readline()
    if not first:
        return None
    raw, headers = first, []
    while (line := stream.readline()) not in (b"\r\n", b""):
        raw += line
        name, _, value = line.decode("latin-1").partition(":")
        headers.append([name, value.strip()])
    raw += b"\r\n"
    known = {name.lower(): value for name, value in headers}
    body = b""
    if known.get("transfer-encoding") == "chunked":
        while True:
            line = stream.readline()
            size = int(line.split(b";")[0], 16)
            chunk = stream.read(size)
            raw += line + chunk + stream.readline()
            body += chunk
            if not size:
                break
    else:
        body = stream.read(int(known.get("content-length", 0)))
        raw += body
    return raw, first.decode().strip(), headers, body


def note_request(actor, message):
    method, path, _ = message[1].split(" ", 2)
    note(actor, "ask", method=method, path=path, headers=message[2], body=message[3].decode("utf-8", "replace"))


def note_answer(actor, message):
    status = int(message[1].split(" ")[1])
    note(actor, "answer", status=status, headers=message[2], body=message[3].decode("utf-8", "replace"))


def call(actor, address, method, path, body=None, headers=()):
    """One noted request on a connection of its own: status, headers by their lower-case names, body."""
    host, port = address.split(":")
    sent = [["Host", address], *map(list, headers)]
    data = b"" if body is None else body.encode()
    if method != "GET":
        sent.append(["Content-Length", str(len(data))])
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent) + "\r\n"
    with socket.create_connection((host, int(port))) as connection:
        note_request(actor, (b"", f"{method} {path} HTTP/1.1", sent, data))
        connection.sendall(head.encode() + data)
        with connection.makefile("rb") as stream:
            message = read_message(stream)
            while message is not None and message[1].split(" ")[1] == "100":
                message = read_message(stream)
    if message is None:
        note(actor, "closed")
        return 0, {}, b""
    note_answer(actor, message)
    return int(message[1].split(" ")[1]), {name.lower(): value for name, value in message[2]}, message[3]


def tap(actor, address):
    """A process of its own between this one and `address`; returns the address to speak with instead."""
    listener = socket.create_server(("127.0.0.1", 0))
    own = f"127.0.0.1:{listener.getsockname()[1]}"
    if os.fork():
        listener.close()
        return own
    import ctypes

    ctypes.CDLL(None).prctl(1, 9)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=pass_on, args=(actor, connection, address), daemon=True).start()


def pass_on(actor, connection, address):
    host, port = address.split(":")
    with connection, socket.create_connection((host, int(port))) as upstream:
        asked, answered = connection.makefile("rb"), upstream.makefile("rb")
        while (request := read_message(asked)) is not None:
            note_request(actor, request)
            upstream.sendall(request[0])
            answer = read_message(answered)
            if answer is None:
                note(actor, "closed")
                return
            note_answer(actor, answer)
            connection.sendall(answer[0])
