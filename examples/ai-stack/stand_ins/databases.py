"""Small clients for PostgreSQL and Redis. Each question has its own connection, so a restart of the database costs no
reconnecting, and each wait has a time limit."""

import socket
import struct

from web import PATIENCE


class DatabaseError(Exception):
    """What a database answered instead of a result."""


class Postgres:
    """A PostgreSQL on 127.0.0.1 that trusts its machine. Parameters travel apart from the query, as text."""

    def __init__(self, port, user="stack", database="postgres"):
        self.port, self.user, self.database = port, user, database

    def query(self, text, *parameters):
        """Runs a query with `$1`, `$2`, …; returns the rows, each value as text or None."""
        with _connected(self.port) as stream:
            names = f"user\0{self.user}\0database\0{self.database}\0\0".encode()
            stream.write(struct.pack("!II", len(names) + 8, 196608) + names)
            stream.flush()
            self._until_ready(stream)
            stream.write(
                _message(b"P", b"\0" + text.encode() + b"\0" + struct.pack("!H", 0))
                + _message(b"B", _bound(parameters))
                + _message(b"E", b"\0" + struct.pack("!I", 0))
                + _message(b"S", b"")
            )
            stream.flush()
            rows = self._until_ready(stream)
            stream.write(_message(b"X", b""))
            stream.flush()
            return rows

    def _until_ready(self, stream):
        rows, error = [], None
        while True:
            kind, length = struct.unpack("!cI", _exactly(stream, 5))
            body = _exactly(stream, length - 4)
            if kind == b"Z":
                if error:
                    raise DatabaseError(error)
                return rows
            if kind == b"R" and body[:4] != b"\0\0\0\0":
                raise DatabaseError("the database wants a password")
            if kind == b"D":
                rows.append(_row(body))
            if kind == b"E":
                fields = {field[:1]: field[1:] for field in body.split(b"\0") if field}
                error = fields.get(b"M", b"unknown").decode(errors="replace")
                # Nothing follows an error that ends the connection.
                if fields.get(b"S") in (b"FATAL", b"PANIC"):
                    raise DatabaseError(error)


class Redis:
    """A Redis on 127.0.0.1."""

    def __init__(self, port):
        self.port = port

    def ask(self, *words):
        """Sends one command; returns text, a number or None."""
        sent = [str(word).encode() for word in words]
        with _connected(self.port) as stream:
            parts = [b"*%d\r\n" % len(sent)] + [b"$%d\r\n%s\r\n" % (len(word), word) for word in sent]
            stream.write(b"".join(parts))
            stream.flush()
            line = stream.readline()
            kind, rest = line[:1], line[1:].strip().decode()
            if kind == b"+":
                return rest
            if kind == b":":
                return int(rest)
            if kind == b"$":
                return None if rest == "-1" else _exactly(stream, int(rest) + 2)[:-2].decode()
            raise DatabaseError(rest or "the connection was closed")


def _connected(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    stream = connection.makefile("rwb")
    # The stream keeps the connection open, and closes it.
    connection.close()
    return stream


def _message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def _bound(parameters):
    values = b""
    for parameter in parameters:
        if parameter is None:
            values += struct.pack("!i", -1)
        else:
            text = str(parameter).encode()
            values += struct.pack("!I", len(text)) + text
    return b"\0\0" + struct.pack("!HH", 0, len(parameters)) + values + struct.pack("!H", 0)


def _row(body):
    (count,) = struct.unpack("!H", body[:2])
    values, at = [], 2
    for _ in range(count):
        (length,) = struct.unpack("!i", body[at : at + 4])
        at += 4
        values.append(None if length < 0 else body[at : at + length].decode())
        at += max(length, 0)
    return values


def _exactly(stream, count):
    data = stream.read(count)
    if len(data) < count:
        raise DatabaseError("the connection was closed")
    return data
