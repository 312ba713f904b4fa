"""The REST API without the CLI: bytes that no well-behaved client would send, and forms made by hand."""
import http.client
import json
import urllib.error
import urllib.request


def call(cluster, method, path, body=None, headers=None):
    """Status and answer of a request."""
    request = urllib.request.Request(cluster.url + path, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def form(*parts):
    """Headers and body of multipart/form-data; a part is (field, file name or None, bytes)."""
    body = b""
    for field, name, data in parts:
        head = b'--edge\r\nContent-Disposition: form-data; name="%s"' % field.encode()
        if name is not None:
            head += b'; filename="%s"' % (name if isinstance(name, bytes) else name.encode())
        body += head + b"\r\n\r\n" + data + b"\r\n"
    return {"Content-Type": "multipart/form-data; boundary=edge"}, body + b"--edge--\r\n"


def raw_target(cluster, method, target, body=b"", headers=None):
    """As call(), with a request target that urllib would refuse or mend."""
    connection = http.client.HTTPConnection("127.0.0.1", cluster.port, timeout=60)
    try:
        connection.putrequest(method, "/", skip_accept_encoding=True)
        connection._buffer[0] = b"%s %s HTTP/1.1" % (method.encode(), target)
        connection.putheader("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    finally:
        connection.close()
