"""Records what a client and a server say to each other, frame by frame.

  capture_session.py SERVER OUT COMMAND...      SERVER is host:port; `{hosts}` in COMMAND becomes our own address

Listens on a free port, runs COMMAND, passes its one connection on to SERVER and writes a line per frame to OUT:

  C 0000002d...   client to server, in hex, with the 4-byte length
  S 00000025...   server to client

Lines stand in the order in which the frames passed; a frame is written down before it is passed on, so a reply
never precedes its request. Exits with the status of COMMAND.
"""

import selectors
import socket
import subprocess
import sys


def frames(buffer):
    """Cuts whole frames off the front of a bytearray."""
    while len(buffer) >= 4:
        end = 4 + int.from_bytes(buffer[:4], "big")
        if len(buffer) < end:
            return
        yield bytes(buffer[:end])
        del buffer[:end]


def relay(client, server, out):
    """Passes frames both ways until either side closes."""
    selector = selectors.DefaultSelector()
    selector.register(client, selectors.EVENT_READ, ("C", server, bytearray()))
    selector.register(server, selectors.EVENT_READ, ("S", client, bytearray()))
    while True:
        for key, _ in selector.select():
            mark, peer, buffer = key.data
            received = key.fileobj.recv(65536)
            if not received:
                return
            buffer += received
            for frame in frames(buffer):
                out.write(f"{mark} {frame.hex()}\n")
                peer.sendall(frame)


def main():
    server_address, out_path, *command = sys.argv[1:]
    host, port = server_address.rsplit(":", 1)
    with socket.create_server(("127.0.0.1", 0)) as listener, open(out_path, "w", encoding="ascii") as out:
        hosts = f"127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen([word.replace("{hosts}", hosts) for word in command])
        listener.settimeout(30)
        client, _ = listener.accept()
        with client, socket.create_connection((host, int(port))) as server:
            relay(client, server, out)
    sys.exit(process.wait())


if __name__ == "__main__":
    main()
