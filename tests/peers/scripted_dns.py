"""A DNS server on loopback that answers as a test wants, over UDP and TCP."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import dns.tsig

Answers = Callable[[dns.message.Message], "dns.message.Message | bytes | None"]
"""Returns the answer, its bytes, or ``None`` for silence."""


class ScriptedDns:
    """Listens until it is closed.

    Args:
        answers: makes an answer of a question.
        key: that questions may be signed with.

    Attributes:
        port: on 127.0.0.1, for both.
        questions: in the order of their arrival, with the way they came.
    """

    def __init__(self, answers: Answers, key: dns.tsig.Key | None = None) -> None:
        self._answers = answers
        self._key = key
        self.questions: list[tuple[str, dns.message.Message]] = []
        self._stream = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._stream.getsockname()[1])
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(("127.0.0.1", self.port))
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop listening."""
        for listener in (self._stream, self._datagrams):
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in self._threads:
            thread.join(5)

    def _serve_udp(self) -> None:
        while True:
            try:
                content, sender = self._datagrams.recvfrom(65535)
            except OSError:
                return
            if not content:
                return
            answer = self._answer("udp", content)
            if answer is not None:
                self._datagrams.sendto(answer, sender)

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, _ = self._stream.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as incoming:
                size = incoming.read(2)
                if len(size) < 2:
                    continue
                answer = self._answer("tcp", incoming.read(struct.unpack("!H", size)[0]))
                if answer is not None:
                    connection.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, way: str, content: bytes) -> bytes | None:
        question = dns.message.from_wire(content, keyring=self._key or False)
        self.questions.append((way, question))
        answer = self._answers(question)
        return answer.to_wire() if isinstance(answer, dns.message.Message) else answer


@contextlib.contextmanager
def scripted_dns(answers: Answers, key: dns.tsig.Key | None = None) -> Iterator[ScriptedDns]:
    """Run such a server for a while."""
    server = ScriptedDns(answers, key)
    try:
        yield server
    finally:
        server.close()


def reply(
    question: dns.message.Message,
    *records: str,
    authority: tuple[str, ...] = (),
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    flags: int = dns.flags.AA,
) -> dns.message.Message:
    """Return an answer, signed if the question was; records are ``name TTL type data``."""
    answer = dns.message.make_response(question)
    answer.flags |= flags
    answer.set_rcode(rcode)
    for section, texts in ((answer.answer, records), (answer.authority, authority)):
        for text in texts:
            name, ttl, record_type, data = text.split(" ", 3)
            section.append(dns.rrset.from_text(name, int(ttl), "IN", record_type, data))
    return answer
