"""The lines that the broker writes to its log from level ``warning`` on, found in its source, and what they mean."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import choria_broker

SOURCE = Path(choria_broker.__file__).parent
_LEVELS = {"warning", "error", "critical", "exception"}
_REFUSED, _TROUBLE = "../how-to/refused.md", "../explanation/trouble.md"

LINES = {
    "A document is dropped: its sender's name cannot be part of a subject": (
        "the name of a server cannot be part of a subject",
        "look at that server's identity",
    ),
    "A document is lost: it was refused or not acknowledged": (
        "a document of an adapter was refused, or not acknowledged, ten times",
        "look at the stream that should take it: `choria-broker streams`",
    ),
    "A key process has ended and is restarted": (
        "a process that signs for TLS has ended; others go on",
        "nothing, unless it happens again and again: then look for too little memory",
    ),
    "A log line cannot be written": ("a line has something in it that cannot be written", "report it as a bug"),
    "A message is dropped: it cannot be read": (
        "the message is not of the kind that the adapter reads",
        "look at who publishes to the subject of the line",
    ),
    "A message is dropped: the queue is full": (
        "the output of an adapter is away or slower than its input",
        "look at the broker or stream it publishes to; more `workers` help where it is only slow",
    ),
    "Some counts or history from before the upgrade are lost": (
        "counts or history of the previous program could not be read",
        "nothing; connections and decisions are not affected",
    ),
    "Allowing Provisioner connections": ("user `provisioner` can log in, as configured", "nothing, if that is meant"),
    "Allowing unverified TLS connections for": (
        "connections without certificate are accepted with tokens, as configured",
        "nothing, if that is meant",
    ),
    "Already shutting down, ignoring": ("a second signal came during the stop", "wait; SIGQUIT writes a dump"),
    "An unexpected error ends the broker": ("a bug in the broker", "report it as a bug, with the lines before it"),
    "An unexpected error has ended the thread": ("a bug in the broker or a library", "report it as a bug"),
    "Cannot create the directory for streams that the engine would otherwise delete": (
        "the store cannot take in what is kept",
        "give the broker's user the right to write into the store",
    ),
    "Cannot notify the service manager of": (
        "the service manager does not listen",
        "use `Type=notify` and `NotifyAccess=main` in the unit",
    ),
    "Cannot tell whether the engine is the installed one": (
        "after an upgrade the engine's program could not be compared",
        "restart the broker when it suits",
    ),
    "Cannot write the stacks": ("SIGQUIT was received, and the file cannot be written", "make room in the directory"),
    "Choria Broker shut down": ("the stop is complete", "nothing"),
    "Choria Network Broker shut down": ("the stop is complete", "nothing"),
    "Choria Network Broker shutting down": ("the stop has begun", "nothing"),
    "Cluster traffic is not encrypted": (
        "`peer_tls = false`",
        "turn it on, unless the network between members is safe",
    ),
    "Connection refused": (
        "a rule refused the connection: fields `rule`, `reason`, `remedy`",
        f"[look the rule up]({_REFUSED})",
    ),
    "Connection refused by the engine": (
        "no rule was checked: field `cause` says why",
        f"[look the cause up]({_REFUSED}#the-engine-refused)",
    ),
    "Connections that had not logged in were closed because a listener had too many of them": (
        "many programs connect and do not log in",
        "look at the addresses; `max_unauthenticated` is the limit",
    ),
    "Could not answer on the control socket": (
        "a command got no answer",
        "run the command again; report a bug if it happens again",
    ),
    "Could not make a page of the dashboard": (
        "a page of the dashboard has a bug, which the line shows",
        "use the command that shows the same, and report it as a bug",
    ),
    "Could not connect, trying again": (
        "the broker that an adapter or the federation broker connects to is away",
        "look at that broker; `side` and `why` say which and why",
    ),
    "Could not drain before the stop": (
        "the drain failed, and the stop goes on",
        "clients reconnect to other brokers",
    ),
    "Could not check the sessions after a reload": (
        "it could not be found out whose rights have changed",
        "reload again; `choria-broker kick` ends single sessions",
    ),
    "Could not publish events": ("events wait for the engine, and are published later", "nothing if it stops"),
    "Could not publish a message": ("the other network did not take it", "look at the connection of that side"),
    "Could not read the engine's statistics": (
        "the engine did not answer in time; the previous values are shown",
        f"if it goes on, see [the engine hangs]({_TROUBLE})",
    ),
    "Disabling Choria Streams": ("the engine turned Choria Streams off", "the line before it has the reason"),
    "Disconnected": ("a companion lost the connection to its broker", "nothing, if it connects again"),
    "Drained": ("the drain is over", "the broker can be stopped"),
    "Draining": ("a drain has begun: new connections are refused", "nothing"),
    "Dropped a message": ("the federation broker cannot use a message", "`why` says what is wrong with it"),
    "Dropped messages: too many wait for the other side": (
        "the other network is away or too slow",
        "look at the connection of that side",
    ),
    "Ending a session": (
        "the session of somebody who is revoked, or whose token or certificate has expired, is ended",
        "nothing",
    ),
    "Ending further sessions": ("a summary of sessions without their own line", "nothing"),
    "Forced shutdown triggered": ("the engine did not stop in time, and was killed", "report it with the dump"),
    "Further connections refused": (
        "a summary of refusals without their own line",
        f"`rules` has them by rule: [look them up]({_REFUSED})",
    ),
    "Further warnings of the engine": ("a summary of the engine's warnings", "the lines before it have the first"),
    "Gateway traffic is not encrypted": ("`gateway_tls = false`", "turn it on, unless the network is safe"),
    "Given up: a process ends again and again": (
        "a process of an adapter or of the federation broker ended ten times",
        "fix what `why` says, then reload",
    ),
    "A process ended by itself and is restarted": (
        "a process of an adapter or of the federation broker ended",
        "`why` says how; too little memory is a usual cause",
    ),
    "Killed because it did not stop in time": (
        "a companion did not stop in time",
        "nothing, unless it happens every time",
    ),
    "Log lines were dropped": ("the log could not be written fast enough, or at all", "make room on the log's disk"),
    "May not": (
        "a program used a subject that it may not use: `identity`, `subject`, `needs`",
        "give it what `needs` says, or correct the program",
    ),
    "Messages are lost": ("a companion ended before it had sent all its messages", "the line before says why it ended"),
    "More clients connect at once than this machine can log in": (
        "clients wait for their login",
        "[when all nodes reconnect at once](../how-to/storms.md)",
    ),
    "More messages were dropped": ("a summary of messages without their own line", "the lines before have the first"),
    "Nobody subscribes to the subject of an adapter; its documents are published anyway": (
        "no stream or program receives the documents of an adapter",
        "create the stream, or correct the adapter's `topic`",
    ),
    "Not permitted by the broker": (
        "a broker denies a companion a subject: `side`, `why`",
        "give its login that subject",
    ),
    "Not waiting for the drain any longer on": ("a second signal ended the wait for a drain", "nothing"),
    "Others refuse this broker because its certificate has expired": (
        "clients and brokers no longer connect",
        "[put a new certificate](../how-to/rotate.md) in the file that the line names",
    ),
    "Refused a control connection of another user": (
        "somebody on this machine tried the control socket: `uid`",
        "use the broker's user, or root",
    ),
    "Published a message to only some of its targets": (
        "a message for the other network has targets that are not valid subjects",
        "look at the program that sent it",
    ),
    "Reload failed": ("a reload could not be finished; nothing has changed", "`why` has the reason"),
    "Reload refused, nothing has changed": (
        "what is in the files now cannot be used",
        "correct what the findings before it name, then reload",
    ),
    "Could not list the sessions, trying again": ("the engine did not answer", "nothing if it stops by itself"),
    "Could not end sessions that are revoked or expired, trying again": (
        "the engine did not answer",
        "nothing if it stops by itself",
    ),
    "Skipping broker TLS set up": ("`--disable-tls`: nobody can log in", "start without that option"),
    "Slow consumer": (
        "a client does not read its messages in time and is disconnected: `identity`, `subject`",
        "have it read faster, or subscribe to less",
    ),
    "Stream": ("a stream was created again over the messages in its directory", "create its consumers again"),
    "The broker could not handle a frame of its engine": (
        "a bug in the broker; the connection that the frame was about is refused, others are not affected",
        "report it as a bug, with the lines after it",
    ),
    "The damaged description of": ("damage in the store was repaired", "nothing"),
    "The drain is cancelled: connections are accepted again": ("an operator cancelled the drain", "nothing"),
    "Could not give the engine its previous configuration, trying again": (
        "a reload was undone, and the engine does not have the earlier file yet",
        "nothing if it stops by itself; otherwise restart the broker",
    ),
    "The engine ended unexpectedly, so the broker ends too": (
        "the engine crashed or was killed: see its `last_lines`",
        f"see [trouble]({_TROUBLE}); the service manager starts the broker again",
    ),
    "The engine keeps the configuration from before the upgrade": (
        "the new program's configuration was refused by the engine",
        "`choria-broker check`, then reload",
    ),
    "The open file limit is lower than the number of connections allowed": (
        "fewer clients can connect than are allowed",
        "raise `LimitNOFILE`, or lower `max_connections`",
    ),
    "This setting takes effect after a restart": ("a changed setting needs a restart", "restart when it suits"),
    "Upgrade refused, nothing has changed": (
        "the installed program cannot take over from this broker",
        "[upgrade](../how-to/upgrade.md) has what to do",
    ),
    "The process that answered the engine during the upgrade has ended; its decisions are not counted": (
        "decisions made during the upgrade are missing in counts and `status`",
        "nothing",
    ),
    "Wrote the stacks of all threads": ("SIGQUIT was received", "`path` has the file"),
    "could not create stream": (
        "a standard stream could not be created or changed",
        "`choria-broker streams` has the reason; with `again` it is tried again",
    ),
    "could not setup system streams": ("the standard streams that failed permanently", "`choria-broker streams`"),
}
"""How each line begins, what it means, and what to do."""

_OF_LIBRARIES = "%s"
"""How lines begin that are all of a library's making."""


def found() -> dict[str, set[str]]:
    """Return the beginnings of all lines that are in the source, with the modules they are in."""
    lines: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for text in _texts(ast.parse(path.read_text(encoding="utf-8"))):
            if not text.startswith(_OF_LIBRARIES):
                lines.setdefault(text, set()).add(str(path.relative_to(SOURCE)))
    return lines


def meant(text: str) -> str:
    """Return the entry that a line belongs to, the longest; empty when there is none."""
    return max((each for each in LINES if text.startswith(each)), key=len, default="")


def anchor(entry: str) -> str:
    """Return the name of an entry in links."""
    return re.sub(r"[^a-z0-9]+", "-", entry.lower()).strip("-")


def _texts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and _writes(node.func):
            yield from _parts(node.args[0])
        elif (
            isinstance(node, ast.Tuple)
            and node.elts
            and ast.unparse(node.elts[0])
            in {
                "logging.WARNING",
                "logging.ERROR",
            }
        ):
            yield from _parts(node.elts[1])


def _writes(function: ast.expr) -> bool:
    if not isinstance(function, ast.Attribute):
        return False
    owner = ast.unparse(function.value).lower()
    return (function.attr in _LEVELS and "log" in owner) or function.attr == "_complain" or owner.endswith("complaints")


def _parts(text: ast.expr) -> Iterator[str]:
    match text:
        case ast.Constant(value=str(value)):
            yield value
        case ast.JoinedStr(values=[ast.Constant(value=str(value)), *_]):
            yield value
        case ast.IfExp():
            yield from _parts(text.body)
            yield from _parts(text.orelse)
