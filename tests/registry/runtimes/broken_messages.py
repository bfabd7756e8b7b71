"""Ways to break the protocol: what a raw plugin does with a call, and what the app says of it."""

from __future__ import annotations

RAW = {
    "no JSON": ("put('hello there')", "hello there"),
    "no object": ("put('[1]')", "not a JSON object"),
    "a constant that is not JSON": ("put('{\"id\": NaN}')", "not a JSON object"),
    "deep nesting": ("put('[' * 100000)", "not a JSON object"),
    "bytes that are no text": (
        "sys.stdout.buffer.write(b'\\xff\\xfe\\n'); sys.stdout.flush()",
        "not a JSON object",
    ),
    "no version": ("put(json.dumps({'id': message['id'], 'result': None}))", "without its jsonrpc version"),
    "an id that was not asked": ("send(id=message['id'] + 7, result=None)", "which was not made"),
    "an id of text": ("send(id='1', result=None)", "neither an answer nor events"),
    "both result and error": ("send(id=message['id'], result=1, error={})", "neither an answer nor events"),
    "an answer given twice": (
        "send(id=message['id'], result=None); send(id=message['id'], result=None)",
        "which was not made",
    ),
    "an error that is none": ("send(id=message['id'], error='x')", "an error that is no object"),
    "a call of its own": ("send(id=1, method='fs/read', params={})", "which the app does not have"),
    "events of no stream": ("send(method='provider/events', params={'id': 77, 'events': []})", "not begun"),
    "100 MB": ("sys.stdout.write('x' * 100_000_000); sys.stdout.flush()", "more than 33,554,432 bytes"),
    "ten million lists": ("put('{\"a\":[' + '[],' * 10_000_000 + '1]}')", "more than 400,000 values"),
    "changes that are none": (
        "send(id=message['id'], result={'request': {'host': 1}})",
        "has only the fields",
    ),
    "a message that was not sent": (
        "send(id=message['id'], result={'request': {'messages': [9]}})",
        "no message 9",
    ),
    "an end in the middle": ("sys.stdout.write('{'); sys.stdout.flush(); os._exit(2)", "status 2"),
}
