"""The requests: each is one spelling of something that the caller may do, or may not.

A spelling is bytes on the wire. Nothing here knows what a framework makes of it: that is what the test finds out.
"""

import dataclasses

HOST = "clinic.example"


@dataclasses.dataclass(frozen=True)
class Spelling:
    """One request; `expect` names the handler of an ordinary one, which must run."""

    group: str
    method: str
    target: str
    headers: tuple = ()
    body: bytes = None
    expect: str = None

    @property
    def name(self):
        headers = "".join(f" [{name}: {value}]" for name, value in self.headers)
        body = f" {self.body[:60]!r}" if self.body is not None else ""
        return ascii(f"{self.method} {self.target}{headers}{body}")[1:-1]

    def wire(self, host, *more):
        """The bytes. `latin-1` writes what is over 0x7f as it is: see `utf8`."""
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        if not any(name.lower() == "host" for name, _ in self.headers):
            lines.append(f"Host: {host}")
        lines += [f"{name}: {value}" for name, value in (*self.headers, *more)]
        if self.body is not None and not any(name == "Transfer-Encoding" for name, _ in self.headers):
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (self.body or b"")


def utf8(text):
    """Text as the raw bytes of its UTF-8, unescaped."""
    return text.encode().decode("latin-1")


FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")


def multipart(*fields, boundary="a-boundary"):
    """A body of `multipart/form-data`; a field is its disposition and its value."""
    parts = [f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n" for head, value in fields]
    return "".join([*parts, f"--{boundary}--\r\n"]).encode()


MULTIPART = ("Content-Type", "multipart/form-data; boundary=a-boundary")


def path_spellings(path):
    """The ways to write a path that some reader takes for `path`."""
    first, *others = path.lstrip("/").split("/")
    rest = "".join(f"/{other}" for other in others)
    *_, last = [first, *others]
    stem = path[: -len(last)]
    odd = last[0]
    yield from (
        # case, and letters that case folding makes equal
        f"/{first.upper()}{rest}", f"/{first.capitalize()}{rest}", path.upper(), stem + last.capitalize(),
        path.replace("s", "%c5%bf"), path.replace("i", "%c4%b1"), path.replace("i", "%c4%b0"), path.replace("m", "%e2%84%b3"),
        path.replace("a", "%ef%bd%81"), path.replace("e", "e%cc%81"), utf8(path.replace("a", "ａ")), path.replace("e", "%c3%a9"),
        # what stands at the end
        f"{path}/", f"{path}//", f"{path}/.", f"{path}/./", f"{path}/x/..", f"{path}.", f"{path}..", f"{path}...", f"{path}%20", f"{path}%20%20",
        f"{path}%2e", f"{path}+", f"{path}%09", f"{path}%0a", f"{path}%0d%0a", f"{path}%00", f"{path}%00.json", f"{path}%c2%a0", f"{path}%e2%80%8b",
        f"{path}%23", f"{path}#x", f"{path}%3f", f"{path}%3fx=1", f"{path}?", f"{path}??", f"{path}&x=1", f"{path}%26x", f"{path},", f"{path}:",
        f"{path}'", f"{path}~", f"{path}*", f"{path}$", f"{path}::$DATA", f"{path}=", f"{path}%2a", f"{path}\\", f"{path}%5c", f"{path}%2f", f"{path}%252f",
        # formats
        f"{path}.json", f"{path}.JSON", f"{path}.html", f"{path}.xml", f"{path}.php", f"{path}.js", f"{path}.css", f"{path}.webmanifest", f"{path}.x",
        f"{path}.json.json", f"{path}.a-b", f"{path}.json/", f"{path}%2ejson", f"{path}.j%C3%A9",
        # parameters of the path
        f"{path};", f"{path};x", f"{path};x=1", f"{path};jsessionid=1", f"/{first};x{rest}", f"/;x/{first}{rest}", f"/;{path}", f"{path}%3bx", f"/{first}%3bx{rest}",
        # slashes and dots
        f"/{path}", f"//x{path}", f"//{HOST}{path}", f"///{path}", path.replace("/", "//"), path.replace("/", "/./"), f"/.{path}", f"/%2e{path}", f"/..{path}",
        f"/open/..{path}", f"/open/%2e%2e{path}", f"/open/.%2e{path}", f"/open/x/../..{path}", f"/open/..%2f{path[1:]}", f"/open%2f..{path}",
        f"/open/..%5c{path[1:]}", f"/open\\..{path}", f"/open/..;{path}", f"/open/..;x{path}", f"/open/%2e%2e;{path}", f"/open/;/..{path}", f"/open/..%00{path}",
        f"/open/%252e%252e{path}", f"/open/%c0%ae%c0%ae{path}", f"/open/%e0%80%ae%e0%80%ae{path}", f"/open/%u002e%u002e{path}", f"/open/...{path}", f"/open/. .{path}",
        f"/open/.%09.{path}", f"/open/{utf8('．．')}{path}", f"/open/%ef%bc%8e%ef%bc%8e{path}", f"/open/..\\{path[1:]}", f"/open/../open/..{path}",
        path.replace("/", "\\"), "/" + path[1:].replace("/", "\\"), "/" + path[1:].replace("/", "%5c"), "/" + path[1:].replace("/", "%2f"),
        "/" + path[1:].replace("/", "%252f"), f"%2f{path[1:]}", f"/%2f{path[1:]}", f"/%5c{path[1:]}", "/" + path[1:].replace("/", "%ef%bc%8f"),
        "/" + path[1:].replace("/", "%e2%88%95"), "/" + path[1:].replace("/", "%c0%af"), f"/%20{path[1:]}", f"/ {path[1:]}", f"/{first}%20{rest}", f"/{first}.{rest}",
        f"/{first}+{rest}", f"/%09{path[1:]}", f"/%0a{path[1:]}", f"/\t{path[1:]}", f"/%00{path}", f"/{first}%00{rest}", f"{path[1:]}",
        # escapes of letters
        stem + f"%{ord(odd):02x}" + last[1:], stem + f"%{ord(odd):02X}" + last[1:], stem + f"%{ord(odd) ^ 32:02x}" + last[1:], stem + f"%25{ord(odd):02x}" + last[1:],
        stem + f"%u00{ord(odd):02x}" + last[1:], stem + f"%c1%{ord(odd) + 64 & 0xbf | 0x80:02x}" + last[1:], stem + f"%{ord(odd) + 128:02x}" + last[1:],
        stem + f"%e0%81%{ord(odd) & 0x3f | 0x80:02x}" + last[1:], f"/%{ord(first[0]):02x}" + path[2:], stem + "%" + last, stem + "%zz" + last, stem + "%4" + last,
        # front controllers, PATH_INFO, and pages by a parameter
        f"/index.php{path}", f"/index.php/{path}", f"/Index.php{path}", f"/index.PHP{path}", f"/index%2ephp{path}", f"/index.php%2f{path[1:]}", f"/open/index.php{path}",
        f"/open/page.php{path}", f"/index.php?page={path}", f"/index.php?page={path[1:]}", f"/?page={path}", f"/?page={path[1:]}", f"/open/?page={path}", f"/index.php/?page={path}",
        f"/index.php?page=open/x&page={path}", f"/index.php?page=home&page={path}", f"/?page={path}&page=home", f"/?page[]=home&page={path}", f"/?page=home%00{path}",
        f"/?page=home/..{path}", f"/?page%5b%5d={path}&page=home", f"/?page=home;page={path}", f"/?p%61ge={path}", f"/?.page={path}", f"/?page%00x={path}", f"/index.php;{path}", f"/app.php{path}", f"/index.html{path}",
        f"/index.php/open/..{path}", f"/open/x.php{path}", f"{path}.php/x", f"{path}/index.php", f"/cgi-bin/index.php{path}", f"/index.php5{path}",
        # other forms of the target
        f"http://{HOST}{path}", f"https://{HOST}{path}", f"HTTPS://{HOST}{path}", f"https://{HOST.upper()}{path}", f"https://other.example{path}", f"https://a@{HOST}{path}",
        f"https:{path}", f"https://{HOST}/open/..{path}", f"/https://{HOST}{path}", f"/open/x?/..{path}", f"/open/x#/..{path}", f"/open/x%3f/..{path}", f"/open/x%23/..{path}",
    )


def paths():
    """Paths to what the caller may not do, and to items under other names than their own."""
    for method, path in (("GET", "/admin/users"), ("GET", "/admin"), ("POST", "/items/7/delete"), ("GET", "/items/7")):
        yield Spelling("paths", method, path)
        for target in dict.fromkeys(path_spellings(path)):
            yield Spelling("paths", method, target)


OVERRIDES = ("X-HTTP-Method-Override", "X-Http-Method-Override", "x-http-method-override", "X-HTTP-Method", "X-Method-Override", "X_HTTP_METHOD_OVERRIDE",
             "X-HTTP_METHOD-OVERRIDE", "X.HTTP.Method.Override", "X-METHOD-OVERRIDE", "X-HTTP-Method-Override ", "HTTP-X-HTTP-Method-Override", "X-Original-Method",
             "X-Rewrite-Method", "_method", "X-_method", "Method", "X-Request-Method", "X-HTTP-Override", "X-Forwarded-Method")
FIELDS = ("_method", "_METHOD", "_Method", "%5fmethod", "_%6dethod", "_method[]", "_method[0]", "_method[x]", "_method%5b%5d", "[_method]", " _method", "%20_method", "+_method",
          ".method", "%2emethod", "[method", "[method]", "method", "_method%20", "_method%00", "_method%00x", "__method", "X-HTTP-Method-Override", "_method.", "_method.x",
          "%EF%BC%BFmethod", "_method;", "x;_method", "&_method", "_method=POST&_method", "_method=DELETE&x", "x[_method]", "_httpMethod", "_m%45thod")


def methods():
    """Other methods than the one that is written."""
    for name in OVERRIDES:
        for value in ("DELETE", "delete", "PUT"):
            yield Spelling("methods", "POST", "/items/7", ((name, value),), b"")
    for value in ("POST, DELETE", "DELETE, POST", " DELETE ", "DELETE\t", "DELETE;x", "\"DELETE\""):
        yield Spelling("methods", "POST", "/items/7", (("X-HTTP-Method-Override", value),), b"")
    yield Spelling("methods", "POST", "/items/7", (("X-HTTP-Method-Override", "POST"), ("X-HTTP-Method-Override", "DELETE")), b"")
    yield Spelling("methods", "POST", "/items/7", (("Connection", "X-HTTP-Method-Override"), ("X-HTTP-Method-Override", "DELETE")), b"")
    for method in ("GET", "HEAD", "OPTIONS"):
        yield Spelling("methods", method, "/items/7", (("X-HTTP-Method-Override", "DELETE"),))
    for field in FIELDS:
        pair = f"{field}=DELETE"
        yield Spelling("methods", "POST", f"/items/7?{pair}".replace(" ", "%20"), (), b"")
        yield Spelling("methods", "POST", "/items/7", (FORM,), pair.encode())
        yield Spelling("methods", "GET", f"/items/7?{pair}".replace(" ", "%20"))
    for body in (b"a=1&_method=DELETE", b"a=1;_method=DELETE", b"_method=delete", b"_method=PUT", b"\xef\xbb\xbf_method=DELETE", b"a=%00&_method=DELETE", b"\r\n_method=DELETE",
                 b"_method=DELETE&" + b"&".join(b"a%d=1" % number for number in range(2000))):
        yield Spelling("methods", "POST", "/items/7", (FORM,), body)
    for disposition in ('name="_method"', "name=_method", "name*=UTF-8''_method", 'name="x"; name="_method"', 'NAME="_method"', 'name="_method"; filename=""',
                        'name="_method"; filename="x"', 'name="\\_method"', 'name="_met%68od"', 'name="_method[]"', 'name = "_method"', 'name=" _method"', 'name="_method\\""'):
        yield Spelling("methods", "POST", "/items/7", (MULTIPART,), multipart((disposition, "DELETE")))
    for kind in ("application/json", "application/json; charset=utf-16", "text/plain", "text/json", "application/vnd.api+json", "application/x-www-form-urlencoded"):
        yield Spelling("methods", "POST", "/items/7", (("Content-Type", kind),), b'{"_method": "DELETE"}')
    for method in ("DELETE", "PUT", "PATCH"):
        yield Spelling("methods", method, "/items/7", (), b"")
        yield Spelling("methods", method, "/items/7", (("X-HTTP-Method-Override", "GET"),), b"")
        yield Spelling("methods", method, "/items/7?_method=GET", (FORM,), b"_method=POST")
    for method in ("delete", "Delete", "DELETe", "dELETE", "post", "get", "Post", "GeT", "DELETE\x0b", "\x0bDELETE", " DELETE", "DEL\tETE", "GETX", "TRACE", "TRACK", "CONNECT",
                   "PROPFIND", "QUERY", "LINK", "MOVE", "COPY", "SEARCH", "PURGE", "M-SEARCH", "X", "*", "OPTIONS", "HEAD", "BASELINE-CONTROL"):
        yield Spelling("methods", method, "/items/7", (), None if method.upper() in ("HEAD", "GET", "OPTIONS", "TRACE", "CONNECT") else b"")
    for method in ("HEAD", "OPTIONS", "TRACE", "get", "head", "POST", "PATCH", "PROPFIND", "QUERY"):
        yield Spelling("methods", method, "/admin/users", (), b"" if method in ("POST", "PATCH") else None)


NAMES = ("clinic", "Clinic", "CLINIC", "clinic[]", "clinic[0]", "clinic[x]", "clinic%5b%5d", "[clinic]", "[clinic", "clinic]", "clinic.", ".clinic", "clinic%20", "%20clinic",
         "+clinic", "clinic+", "clinic%00", "clinic%00x", "clinic%0a", "cl%69nic", "cl%2569nic", "cl%u0069nic", "clinic[", "clinic[][]", "clinic[][x]", "a[clinic]", "%ef%bd%83linic",
         "cl%c4%b1nic", "clinic%e2%80%8b", "clinic;", "clinic.x", "clinic_", "_clinic", "clinic-", "%63linic", "clinic%5b", "clinic%5d", "clinic:", "amp;clinic", "clinic%3d", "x%26clinic")


def parameters():
    """Another clinic in a parameter that a rule reads, and the same one in other spellings."""
    for name in NAMES:
        yield Spelling("parameters", "GET", f"/items?{name}=b")
        yield Spelling("parameters", "GET", f"/items?clinic=a&{name}=b")
        yield Spelling("parameters", "GET", f"/items?{name}=b&clinic=a")
    for query in ("clinic=a;clinic=b", "clinic=b;clinic=a", "x=1;clinic=b", "clinic=a%26clinic=b", "clinic=a%3bclinic=b", "clinic=a&&clinic=b", "clinic=a&=&clinic=b", "clinic",
                  "clinic=", "clinic=&clinic=b", "clinic==b", "clinic=%3db", "clinic=b%00", "clinic=a%00b", "clinic=a%0ab", "clinic=a,b", "clinic=a%2cb", "clinic=a+", "clinic=+a",
                  "clinic=%20a", "clinic=A", "clinic=%61", "clinic=%2561", "clinic=%u0061", "clinic=%ef%bd%81", "clinic=a%cc%81", "clinic=%c1%a1", "clinic=a%ff", "clinic=%ff",
                  "clinic=a%", "clinic=a%zz", "clinic=a?clinic=b", "?clinic=b", "x?clinic=b", "clinic=a#&clinic=b", "clinic=a%23b", "clinic=['b']", "clinic={\"$ne\":\"a\"}",
                  "clinic[$ne]=a", "clinic=a&clinic", "clinic&clinic=a", "clinic=a\\&clinic=b", "clinic=a&" + "&".join(f"x{number}=1" for number in range(1100)) + "&clinic=b",
                  "&".join(f"x{number}=1" for number in range(1100)) + "&clinic=b", "clinic=a\tb", utf8("clinic=ａ"), "clinic=%E9", "clinic=a%26", "clinic=a/../b", "%3Fclinic=b"):
        yield Spelling("parameters", "GET", f"/items?{query}")
    yield Spelling("parameters", "GET", "/items??clinic=b")
    yield Spelling("parameters", "GET", "/items%3fclinic=b")
    yield Spelling("parameters", "GET", "/items;clinic=b")
    yield Spelling("parameters", "GET", "/items/7?id=8")
    yield Spelling("parameters", "POST", "/items/7?id=8", (FORM,), b"id=8")
    yield Spelling("parameters", "GET", "/items/7?_route=admin&_controller=admin&controller=admin&action=admin")
    for value in ("a", "b", "A", "a,b", "a, b", "b,a", " a", "a ", "a;b", "\"a\"", "", "=?utf-8?q?b?=", "\xe1", "a\tb"):
        yield Spelling("parameters", "GET", "/items", (("X-Clinic", value),))
    for first, second in (("a", "b"), ("b", "a"), ("a", "a")):
        for other in ("X-Clinic", "x-clinic", "X_Clinic", "X_CLINIC", "X-CLINIC", "X.Clinic", "HTTP_X_CLINIC", "X-Clinic "):
            yield Spelling("parameters", "GET", "/items", (("X-Clinic", first), (other, second)))


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def forms(name, value):
    """The ways to put one field into a body: a type and the bytes."""
    pair = f"{name}={value}".encode()
    first = name[0]
    for body in (pair, b"a=1&" + pair, b"a&" + pair, b"=&" + pair, b"&&&" + pair, b"a=b=c&" + pair, b"a=1;" + pair, b"a=1\n&" + pair, b"a=1&\n" + pair, b"a=1&\r\n" + pair, b"\0&" + pair, b"a=%zz&" + pair,
                 b"a=\xff&" + pair, b"a=%&" + pair, b"?" + pair, b"a=1&amp;" + pair, pair.replace(b"=", b"%00=", 1), pair.replace(b"=", b"[=", 1), pair.replace(b"=", b"[]=", 1), pair.replace(b"=", b".x=", 1),
                 pair.replace(b"=", b" =", 1), b"x" * 70000 + b"=1&" + pair, b"a=" + b"x" * 70000 + b"&" + pair, f"%{ord(first):02x}{name[1:]}={value}".encode(), f"{name.upper()}={value}".encode()):
        yield (FORM,), body
        yield (("Content-Type", "application/x-www-form-urlencoded;charset=utf-8;x=y"),), body
    for kind in ("application/x-www-form-urlencoded\t;x", "application/x-www-form-urlencoded;", "x-application/x-www-form-urlencoded", "application/x-www-form-urlencodedx", "application/x-www-url-encoded", "text/html", "application/octet-stream",
                 "; application/x-www-form-urlencoded", "text/plain; application/x-www-form-urlencoded", "application/x-www-form-urlencoded;charset=utf-7", "application/x-www-form-urlencoded;charset=latin1", "application/form-data", "a"):
        yield (("Content-Type", kind),), pair
    yield (), pair
    yield (FORM, ("Transfer-Encoding", "chunked")), chunked(pair[:3], pair[3:])
    yield (FORM, ("Transfer-Encoding", "chunked")), chunked(*(pair[at : at + 1] for at in range(len(pair))))
    part = f'form-data; name="{name}"'
    for head in (part, f"form-data; name={name}", f"form-data;name={name}", f"form-data; NAME={name}", f"form-data; name*=UTF-8''{name}", f"form-data; name*0={first}; name*1={name[1:]}", f'form-data; name="x"; name={name}',
                 f'form-data; name={name}; name="x"', f'form-data; x="; name={name}"', f'form-data; filename="a"; name="{name}"', f'form-data; filename="a\\"; name="{name}"', f'form-data; filename="a;b"; name="{name}"', f"attachment; name={name}", f"form-data;\r\n name={name}",
                 f"form-data; name=\r\n\t{name}", f'form-data; name="\\{name}"', f'form-data; name="%{ord(first):02x}{name[1:]}"', f"form-data; name='{name}'", f'form-data; name="{name}[]"', f"name={name}", f'form-data; name ="{name}"',
                 f'form-data; name="{name}"\r\nContent-Type: text/plain; charset=utf-16', f'form-data; name="{name}"\r\nContent-Transfer-Encoding: base64', f'form-data; name="x"\r\nContent-Disposition: form-data; name="{name}"'):
        yield (MULTIPART,), f"--a-boundary\r\nContent-Disposition: {head}\r\n\r\n{value}\r\n--a-boundary--\r\n".encode()
    plain = f"--a-boundary\r\nContent-Disposition: {part}\r\n\r\n{value}\r\n--a-boundary--\r\n"
    for body in (plain, plain.replace("\r\n", "\n"), plain.replace("\r\n", "\r"), "preamble\r\n" + plain, "\r\n" + plain, plain.replace("Content-Disposition", "content-disposition"), plain.replace("Content-Disposition:", "Content-Disposition :"),
                 plain.replace("Content-Disposition", "X: y\r\nContent-Disposition"), plain.replace("--a-boundary\r\n", "--a-boundary \t\r\n", 1), plain.replace("--a-boundary--\r\n", ""), plain.replace("--a-boundary--", "--a-boundary"), plain[:-4],
                 '--a-boundary\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n' + plain, "--a-boundary--\r\n" + plain, "--a-boundaryx\r\n\r\n" + plain, "--a-boundary\r\n\r\n" + plain,
                 plain.replace("Content-Disposition: ", "Content-Disposition:"), "x" * 70000 + "\r\n" + plain, plain.replace("Content-Disposition", "X: " + "y" * 9000 + "\r\nContent-Disposition")):
        yield (MULTIPART,), body.encode()
    for kind in ("multipart/form-data;boundary=a-boundary", 'multipart/form-data; boundary="a-boundary"', "multipart/form-data; BOUNDARY=a-boundary", "Multipart/Form-Data; boundary=a-boundary", "multipart/form-data; charset=utf-8; boundary=a-boundary",
                 "multipart/form-data; boundary=a-boundary; charset=utf-16", "multipart/form-data; boundary=b; boundary=a-boundary", "multipart/form-data; boundary=a-boundary; boundary=b", "multipart/form-data; boundary*=UTF-8''a-boundary", "multipart/form-data boundary=a-boundary",
                 "multipart/form-data; boundary=a-boundary,b", "multipart/form-data; boundary= a-boundary", "multipart/form-data; boundary =a-boundary", "multipart/form-data; xboundary=b; boundary=a-boundary", 'multipart/form-data; x="; boundary=b"; boundary=a-boundary',
                 "multipart/form-data; boundary=a-boundary;", "multipart/related; boundary=a-boundary", "multipart/mixed; boundary=a-boundary", "multipart/x; boundary=a-boundary", "multipart/form-datax; boundary=a-boundary", 'multipart/form-data; boundary="a-\\boundary"'):
        yield (("Content-Type", kind),), plain.encode()
    escaped = f"\\u{ord(first):04x}{name[1:]}"
    for body in (f'{{"{name}": "{value}"}}', f'{{"a": 1, "{name}": "{value}"}}', f'{{"{escaped}": "{value}"}}', f'{{"{name}": "x", "{name}": "{value}"}}', f'{{"a": {{"b": [1, "}}"]}}, "{name}": "{value}"}}', f'[{{"{name}": "{value}"}}]',
                 f'{{"a": "\\"", "{name}": "{value}"}}', f' \n\t{{ "{name}" : "{value}" }}', f'\ufeff{{"{name}": "{value}"}}', f"{{'{name}': '{value}'}}", f'{{{name}: "{value}"}}', f'/**/{{"{name}": "{value}"}}', f'{{"{name}": "{value}"}} x',
                 f'{{"{name}": ["{value}"]}}', f'{{"{name}": "{value}",}}', f'{{"x": 1}}{{"{name}": "{value}"}}', f'{{"{name}\\u0000": "{value}"}}', f'{{"a": "\\\\", "{name}": "{value}"}}'):
        yield (JSON,), body.encode()
        yield (("Content-Type", "application/vnd.api+json"),), body.encode()
    for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7"):
        yield (JSON,), f'{{"{name}": "{value}"}}'.encode(codec)
        yield (("Content-Type", f"application/json; charset={codec}"),), f'{{"{name}": "{value}"}}'.encode(codec)
    for kind in ("text/x-json", "application/x-json", "application/jsonp", "application/json, text/plain", "text/plain, application/json", "application/graphql+json", "application/ld+json; x=y", "application/x-ndjson", "application/manifest+json", "JSON"):
        yield (("Content-Type", kind),), f'{{"{name}": "{value}"}}'.encode()
    for kind in ("application/xml", "text/xml"):
        yield (("Content-Type", kind),), f"<hash><{name}>{value}</{name}></hash>".encode()


def hidden():
    """Another method, and another clinic, in every kind of body."""
    for headers, body in forms("_method", "DELETE"):
        yield Spelling("methods", "POST", "/items/7", headers, body)
    for headers, body in forms("clinic", "b"):
        yield Spelling("bodies", "POST", "/items/7?clinic=a", headers, body)


def bodies():
    """A clinic in a form, where the application reads form and query as one."""
    for query in ("", "?clinic=a"):
        yield Spelling("bodies", "POST", f"/items/7{query}", (FORM,), b"clinic=b")
        yield Spelling("bodies", "POST", f"/items/7{query}", (MULTIPART,), multipart(('name="clinic"', "b")))
        for kind in ("application/json", "application/json;charset=utf-8", "APPLICATION/JSON", "application/problem+json", "text/json", "text/plain", "application/x-json", "", "*/*",
                     "application/x-www-form-urlencoded; charset=utf-16", "application/x-www-form-urlencoded;charset=ibm037", "application/x-www-form-urlencoded, text/plain",
                     "text/plain, application/x-www-form-urlencoded", "application/x-www-form-urlencoded ;", "Application/X-WWW-Form-URLencoded", "multipart/form-data",
                     "multipart/form-data; boundary=", "multipart/mixed; boundary=a-boundary", "multipart/form-data; boundary=a-boundary; boundary=b"):
            for body in (b'{"clinic": "b"}', b"clinic=b"):
                yield Spelling("bodies", "POST", f"/items/7{query}", (("Content-Type", kind),), body)
    yield Spelling("bodies", "POST", "/items/7", (), b"clinic=b")
    yield Spelling("bodies", "GET", "/items", (FORM,), b"clinic=b")
    yield Spelling("bodies", "GET", "/items?clinic=a", (FORM,), b"clinic=b")
    yield Spelling("bodies", "GET", "/items?clinic=a", (JSON,), b'{"clinic": "b"}')
    yield Spelling("bodies", "GET", "/items", (("Cookie", "clinic=b"),))
    yield Spelling("bodies", "POST", "/items/7", (FORM, ("Content-Type", "text/plain")), b"clinic=b")
    yield Spelling("bodies", "POST", "/items/7", (FORM, ("Content-Encoding", "gzip")), b"clinic=b")


IDENTITY = ("X-Tenant-Id", "x-tenant-id", "X_Tenant_Id", "X_TENANT_ID", "X-Tenant_Id", "X.Tenant.Id", "X Tenant-Id", "X-Tenant-Id ", "HTTP_X_TENANT_ID", "HTTP-X-TENANT-ID",
            "X-Tenant-ID", "X~Tenant~Id", "X+Tenant+Id", "X-User-Id", "X_User_Id", "X-User_Id", "X.User.Id", "X-User-Roles", "X_USER_ROLES", "X-User.Roles", "Remote-User",
            "REMOTE_USER", "REMOTE-USER", "X-Remote-User", "X-Forwarded-User", "Auth-User", "Auth_Type")
PLACES = (("X-Original-URL", "{}"), ("X-Rewrite-URL", "{}"), ("X-Original-URI", "{}"), ("X_ORIGINAL_URL", "{}"), ("X_REWRITE_URL", "{}"), ("X-Forwarded-Prefix", "/open"), ("X-Forwarded-Path", "{}"),
          ("X-Forwarded-Uri", "{}"), ("X-Forwarded-Url", "{}"), ("X-Forwarded-Host", "other.example"), ("X-Envoy-Original-Path", "{}"), ("X-Accel-Redirect", "{}"), ("X-Script-Name", "/open"), ("SCRIPT_NAME", "/open"),
          ("Script-Name", "/open"), ("PATH_INFO", "{}"), ("Path-Info", "{}"), ("REQUEST_URI", "{}"), ("Request-Uri", "{}"), ("Base-Url", "{}"), ("X-Path", "{}"), ("Destination", "{}"), ("IIS-WasUrlRewritten", "1"),
          ("UNENCODED_URL", "{}"), ("Unencoded-Url", "{}"), ("HTTP_X_ORIGINAL_URL", "{}"), ("X-Waws-Unencoded-Url", "{}"), ("X-ProxyUser-Ip", "127.0.0.1"), ("Proxy", "http://x"), ("Redirect-Url", "{}"))


def headers():
    """Headers that we set ourselves, and headers that move a request to another place."""
    for name in IDENTITY:
        yield Spelling("headers", "GET", "/items", ((name, "b"),))
    for value in ("a,b", "b,a", "", "a", "a\tb", "\xe1"):
        yield Spelling("headers", "GET", "/items", (("X-Tenant-Id", value),))
    yield Spelling("headers", "GET", "/items", (("X-Tenant-Id", "a"), ("X-Tenant-Id", "b")))
    for named in ("x-tenant-id", "X-Tenant-Id", "close, x-tenant-id", "x-tenant-id, x-user-id, x-user-roles, x-request-id", "X_Tenant_Id", "x-clinic", "authorization", "host", "cookie",
                  "content-length", "transfer-encoding", "content-type", "te", "x-forwarded-for", "x-forwarded-proto", "keep-alive, x-tenant-id", "upgrade, x-tenant-id", "\"x-tenant-id\"", ",x-tenant-id"):
        yield Spelling("headers", "GET", "/items", (("Connection", named), ("X-Clinic", "a")))
        yield Spelling("headers", "POST", "/items/7", (("Connection", named), FORM), b"name=x")
    for name, value in PLACES:
        for method, target, other in (("GET", "/open/x", "/admin/users"), ("GET", "/open/admin/users", "/admin/users"), ("GET", "/items/7", "/items/8")):
            yield Spelling("headers", method, target, ((name, value.format(other)),))
    for value in ("for=1.1.1.1;host=other.example", "host=other.example;proto=http"):
        yield Spelling("headers", "GET", "/items", (("Forwarded", value),))
    for value in (HOST.upper(), f"{HOST}.", f"{HOST}:443", f"{HOST}:8443", "other.example", f"{HOST}@other.example", f"other.example@{HOST}", f"{HOST}/admin", f"{HOST}?x", f" {HOST}", ""):
        yield Spelling("headers", "GET", "/items", (("Host", value),))
    yield Spelling("headers", "GET", "/items", (("Host", HOST), ("Host", "other.example")))


def ordinary():
    """What real clients send every day; it must pass, and the handler that it names must run."""
    one = lambda expect, method, target, headers=(), body=None: Spelling("ordinary", method, target, headers, body, expect)
    for target in ("/open/hello", "/open/hello.css", "/open/js/app.min.js", "/open/a%20b.pdf", "/open/Z%C3%BCrich", "/open/a-b_c~d", "/open/x:y@z", "/open/a+b", "/open/a,b(1)!", "/open/.well-known/x",
                   "/open/hello?v=1.2.3", "/open/hello?next=/items/7?x=1", "/open/Report%20(final).PDF"):
        yield one("open", "GET", target)
    for target in ("/items", "/items?page=2", "/items?q=a+b&sort=-name", "/items?q=M%C3%BCller", "/items?tag[]=a&tag[]=b", "/items?filter[name]=x", "/items?filter%5Bname%5D=x", "/items?tag=a&tag=b", "/items?a.b=1",
                   "/items?clinic=a", "/items?clinic=%61", "/items?q=", "/items?q", "/items?q=a%26b%3dc", "/items?token=YWJj%2BZGVm%3D%3D", "/items?q=a=b", "/items?at=2026-11-22T10:00:00%2B01:00", "/items?filter={%22a%22:1}",
                   "/items?q=50%25", "/items?emoji=%F0%9F%98%80", "/items?method=fax", "/items?q=a%0Ab"):
        yield one("list", "GET", target)
    for target in ("/items/7", "/items/P-0007", "/items/3fa85f64-5717-4562-b3fc-2c963f66afa6", "/items/M%C3%BCller", "/items/a%20b", "/items/a@b", "/items/New", "/items/7?print=1", "/items/a:b", "/items/a_b~c"):
        yield one("show", "GET", target)
    yield one("show", "HEAD", "/items/7")
    yield one("show", "GET", "/items/7", (("Range", "bytes=0-3"), ("Accept", "*/*")))
    yield one("list", "GET", "/items", (("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"), ("Accept-Language", "de-AT,de;q=0.9"), ("Accept-Encoding", "gzip, br"), ("Cookie", "a=1; b=2"), ("Referer", f"https://{HOST}/open/x"),
                                    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)"), ("X-Requested-With", "XMLHttpRequest"), ("X-Clinic", "a"), ("DNT", "1"), ("Cache-Control", "no-cache"), ("Pragma", "no-cache")))
    yield one("update", "POST", "/items/7", (FORM,), b"name=M%C3%BCller&note=a+b%0D%0Ac&tag[]=1&tag[]=2")
    yield one("update", "POST", "/items/7", (("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"),), b"name=x&method=fax")
    yield one("update", "POST", "/items/7", (JSON,), b'{"name": "x", "method": "fax"}')
    yield one("update", "POST", "/items/7", (("Content-Type", "application/json; charset=utf-8"),), '{"name": "Müller"}'.encode())
    yield one("update", "POST", "/items/7", (MULTIPART,), multipart(('name="name"', "x"), ('name="scan"; filename="a.pdf"', "%PDF-1.4")))
    yield one("update", "POST", "/items/7?clinic=a", (FORM,), b"name=x")
    yield one("update", "POST", "/items/7", (), b"")
    yield one("update", "POST", "/items/7", (("Origin", f"https://{HOST}"), ("Sec-Fetch-Site", "same-origin"), FORM), b"name=x")
    yield one("open", "POST", "/open/contact", (FORM,), b"name=x&text=y")


def table():
    """Every spelling once."""
    every = [spelling for group in (ordinary, paths, methods, parameters, bodies, hidden, headers) for spelling in group()]
    return list(dict.fromkeys(every))
