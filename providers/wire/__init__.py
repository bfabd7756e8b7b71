"""What providers share: reading event streams, the dialects spoken over them, and how servers fail.

`transport` posts a request and gives server-sent events (`sse`); one module per dialect turns a `ChatRequest`
into that dialect's JSON and its events into stream events; `errors` turns every fault into a `ProviderError`.
"""
