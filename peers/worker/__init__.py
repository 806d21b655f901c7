"""The worker protocol (docs/worker-protocol.md) in Python, for whatever library a peer module wraps.

Reads one JSON object a line on stdin and answers each with one line on stdout. Whatever else prints goes
to stderr. It times with its own clock and never grades itself: the parent checks every answer.

- `session`: the conversation;
- `program`: a loaded program, and `Library`, which a peer module implements;
- `inputs`, `shapes`: the elements of inputs, and which programs make sense;
- `machine`: clock, waits, memory, streams.

A peer module (`numpy_peer`, `torch_peer`, `ort_peer`) has a class `Peer`. Adding an op there needs its row
in src/backends/peer/ too.
"""
