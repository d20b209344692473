/**
 * Bytes that clients send to be read differently by two readers, to take more than their share or to
 * be taken for somebody else. Each with what the client hears and what of it may reach a service.
 */
export interface HostileRequest {
  readonly what: string
  /** One character for each byte. */
  readonly bytes: string
  /** Statuses of the answers, in order; after them the connection is of use or closed. */
  readonly answers: ReadonlyArray<number>
  readonly after: "open" | "closed"
  /** Whole requests that the service has read. */
  readonly reaches: number
}

const host = "Host: shop.localhost\r\n"
const get = (fields: string, target = "/", version = "1.1") =>
  `GET ${target} HTTP/${version}\r\n${fields}\r\n`
const post = (fields: string, body = "") => `POST / HTTP/1.1\r\n${host}${fields}\r\n${body}`
const smuggled = `GET /smuggled HTTP/1.1\r\n${host}\r\n`

/** Not a byte of it reaches the service. */
const refused = (what: string, bytes: string, ...answers: ReadonlyArray<number>) =>
  ({ what, bytes, answers, after: "closed", reaches: 0 }) as const
/** Answered by the edge, which has understood it: the connection stays. */
const answered = (what: string, bytes: string, status: number) =>
  ({ what, bytes, answers: [status], after: "open", reaches: 0 }) as const
/** One request reaches the service, with everything in it that could be read differently put right. */
const normalised = (what: string, bytes: string, after: "open" | "closed" = "open") =>
  ({ what, bytes, answers: [200], after, reaches: 1 }) as const

const framing: ReadonlyArray<HostileRequest> = [
  refused(
    "CL.TE: a length and chunks",
    post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nG"),
    400
  ),
  refused(
    "TE.CL: chunks and a length",
    post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", `2e\r\n${smuggled}\r\n0\r\n\r\n`),
    400
  ),
  refused(
    "TE.TE: the second coding is unknown",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n", "5c\r\n0\r\n\r\n"),
    400
  ),
  refused(
    "TE.TE: the first coding is unknown",
    post("Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", `0\r\n\r\n${smuggled}`),
    400
  ),
  ...[
    "chunked, chunked",
    "gzip, chunked",
    "identity",
    "xchunked",
    "chunked;q=1",
    "chunked, identity"
  ].map((coding) =>
    refused(
      `Transfer-Encoding: ${coding}`,
      post(`Transfer-Encoding: ${coding}\r\n`, `0\r\n\r\n${smuggled}`),
      400
    )
  ),
  refused(
    "a coding that ends in a vertical tab",
    post("Transfer-Encoding: chunked\x0b\r\n", `0\r\n\r\n${smuggled}`),
    400
  ),
  refused(
    "a blank before the colon",
    post("Transfer-Encoding : chunked\r\n", `0\r\n\r\n${smuggled}`),
    400
  ),
  refused(
    "a blank before the name",
    `POST / HTTP/1.1\r\n${host} Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400
  ),
  refused(
    "chunks in HTTP/1.0",
    `POST / HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400
  ),
  ...["5, 5", "+5", "-5", "0x5", "5 5", "5a", "", "99999999999999999999999"].map((length) =>
    refused(`Content-Length: ${length}`, post(`Content-Length: ${length}\r\n`, "hello"), 400)
  ),
  refused(
    "two lengths that differ",
    post("Content-Length: 5\r\nContent-Length: 50\r\n", "hello"),
    400
  ),
  refused(
    "the same length twice",
    post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
    400
  ),
  refused("a body over the limit", post("Content-Length: 5368709120\r\n", "hello"), 413),
  normalised("a length with zeros in front", post("Content-Length: 0005\r\n", "hello")),
  normalised("a length for programs behind CGI", post("Content_Length: 50\r\n")),
  normalised("a coding for programs behind CGI", post("Transfer_Encoding: chunked\r\n")),
  normalised(
    "a coding in capitals",
    post("Transfer-Encoding: CHUNKED\r\n", "5\r\nhello\r\n0\r\n\r\n")
  ),
  normalised("a GET with a body", get(`${host}Content-Length: 5\r\n`).concat("hello")),
  normalised(
    "a length named in Connection",
    post("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello")
  ),
  normalised("a Host named in Connection", get(`${host}Connection: Host\r\n`))
]

const chunks: ReadonlyArray<HostileRequest> = [
  ...[
    ["a chunk's length with a sign", "+5\r\nhello\r\n0\r\n\r\n"],
    ["a chunk's length in the C style", "0x5\r\nhello\r\n0\r\n\r\n"],
    ["a chunk's length that overflows", "fffffffffffffffff1\r\nhello\r\n0\r\n\r\n"],
    ["a chunk longer than it says", "3\r\nhello\r\n0\r\n\r\n"],
    ["a chunk that ends in a bare LF", "5\nhello\n0\n\n"],
    ["a chunk's extension with a bare LF", "5;a\nhello\r\n0\r\n\r\n"]
  ].map(([what = "", body = ""]) =>
    refused(what, post("Transfer-Encoding: chunked\r\n", body), 400)
  ),
  refused(
    "a flood of chunk extensions",
    post("Transfer-Encoding: chunked\r\n", `5;${"a".repeat(20_000)}\r\nhello\r\n0\r\n\r\n`),
    413
  ),
  answered(
    "trailers without end",
    post("Transfer-Encoding: chunked\r\n", `0\r\n${"a: b\r\n".repeat(5_000)}\r\n`),
    431
  ),
  refused(
    "a length as a trailer",
    post("Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: 9\r\n\r\n"),
    400
  ),
  refused(
    "a coding as a trailer",
    post("Transfer-Encoding: chunked\r\n", "0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    400
  ),
  normalised(
    "trailers that would change the message",
    post(
      "Transfer-Encoding: chunked\r\nTrailer: Host\r\n",
      "5\r\nhello\r\n0\r\nHost: other.localhost\r\nX-Forwarded-For: 6.6.6.6\r\nCookie: 6.6.6.6\r\n\r\n"
    )
  ),
  normalised(
    "a chunk's extension",
    post("Transfer-Encoding: chunked\r\n", "5;a=b\r\nhello\r\n0\r\n\r\n")
  )
]

const lines: ReadonlyArray<HostileRequest> = [
  refused("bare LF for all line ends", `GET / HTTP/1.1\nHost: shop.localhost\n\n`, 400),
  refused("a bare LF in a field", get(`${host}X: a\nTransfer-Encoding: chunked\r\n`), 400),
  refused("a bare CR in a field", get(`${host}X: a\rTransfer-Encoding: chunked\r\n`), 400),
  refused("a NUL in a field", get(`${host}X: a\0b\r\n`), 400),
  refused("a NUL in a name", get(`${host}X\0: a\r\n`), 400),
  refused("a NUL in the target", get(host, "/\0"), 400),
  refused("a folded field", get(`${host}X: a\r\n b\r\n`), 400),
  refused("a folded coding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400),
  refused("a field without a colon", get(`${host}nonsense\r\n`), 400),
  refused("a field without a name", get(`${host}: x\r\n`), 400),
  refused("a name with a blank in it", get(`${host}a b: c\r\n`), 400),
  refused("no method", ` / HTTP/1.1\r\n${host}\r\n`, 400),
  refused("a method that nobody has", `FROB / HTTP/1.1\r\n${host}\r\n`, 400),
  refused("a method in small letters", `get / HTTP/1.1\r\n${host}\r\n`, 400),
  normalised("two blanks in the first line", get(host, " /")),
  refused("no version", `GET /\r\n${host}\r\n`, 400),
  refused("version 0.9", get(host, "/", "0.9"), 400),
  refused("version 1.2", get(host, "/", "1.2"), 400),
  refused("version 2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
  refused("a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
  refused("a proxy's own protocol", `PROXY TCP4 6.6.6.6 6.6.6.6 1 2\r\n${get(host)}`, 400),
  refused("a head over the limit", get(`${host}X: ${"x".repeat(20_000)}\r\n`), 431),
  refused("a target over the limit", get(host, `/${"x".repeat(20_000)}`), 431),
  { ...answered("more fields than anybody needs", get(host + "a:\r\n".repeat(500)), 431) }
]

const targets: ReadonlyArray<HostileRequest> = [
  answered("an absolute target", get(host, "http://neighbour.localhost/"), 400),
  answered("an absolute target of another scheme", get(host, "file:///etc/passwd"), 400),
  answered("an asterisk to read", get(host, "*"), 400),
  answered("a fragment", get(host, "/#/../admin"), 400),
  refused("a target without a slash", get(host, "admin"), 400),
  refused("a tunnel to anywhere", `CONNECT 127.0.0.1:22 HTTP/1.1\r\n${host}\r\n`, 400),
  normalised("an asterisk for OPTIONS", `OPTIONS * HTTP/1.1\r\n${host}\r\n`),
  normalised("a path out of the root, which is the service's to read", get(host, "/../..%2f"))
]

const hosts: ReadonlyArray<HostileRequest> = [
  refused("no Host", get(""), 400),
  answered("an empty Host", get("Host:\r\n"), 404),
  answered("two Hosts", get(`${host}Host: neighbour.localhost\r\n`), 400),
  answered("the same Host twice", get(host + host), 400),
  ...[
    "shop.localhost@evil.test",
    "user@shop.localhost",
    "shop.localhost:80@evil.test",
    "shop.localhost:80:80",
    "shop.localhost:-1",
    "shop.localhost:80a",
    "shop.localhost:",
    "shop.localhost/",
    "shop.localhost?x",
    "shop.localhost, neighbour.localhost",
    "shop.localhost neighbour.localhost",
    "shop.localhost..",
    ".shop.localhost",
    "shop%2elocalhost",
    "sh\xc3\xb6p.localhost",
    "shop\xe3\x80\x82localhost",
    "http://shop.localhost"
  ].map((name) => answered(`Host: ${name}`, get(`Host: ${name}\r\n`), 400)),
  ...["xn--shp-sna.localhost", "127.0.0.1", "[::1]:80", "localhost", "x.shop.localhost"].map(
    (name) => answered(`Host: ${name}`, get(`Host: ${name}\r\n`), 404)
  ),
  normalised("a Host with its dot and a port", get("Host: SHOP.localhost.:8080\r\n")),
  normalised("HTTP/1.0 with a Host", get(host, "/", "1.0"), "closed"),
  answered("HTTP/1.0 without a Host", get("Connection: keep-alive\r\n", "/", "1.0"), 404)
]

const claims: ReadonlyArray<HostileRequest> = [
  "X-Forwarded-For: 6.6.6.6",
  "X_Forwarded_For: 6.6.6.6",
  "x-forwarded_for: 6.6.6.6",
  "X-Forwarded-Proto: https",
  "X-Forwarded-Host: evil.test",
  "X-Forwarded-Server: 6.6.6.6",
  "Forwarded: for=6.6.6.6",
  "X-Real-IP: 6.6.6.6",
  "X_REAL_IP: 6.6.6.6",
  "Proxy-Connection: 6.6.6.6",
  "Keep-Alive: 6.6.6.6",
  "TE: 6.6.6.6",
  "Connection: X-Hop\r\nX-Hop: 6.6.6.6",
  "Connection: close, X-Hop\r\nX-Hop: 6.6.6.6"
].map((field) =>
  normalised(
    `a client's own ${field.replace("\r\n", ", ")}`,
    get(`${host}${field}\r\n`),
    field.includes("close") ? "closed" : "open"
  )
)

const pipelines: ReadonlyArray<HostileRequest> = [
  {
    what: "a second request behind one that is refused",
    bytes: post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", `0\r\n\r\n${smuggled}`),
    answers: [400],
    after: "closed",
    reaches: 0
  },
  {
    what: "a second request behind the declared body",
    bytes: `${post("Content-Length: 5\r\n", "hello")}${get(host)}`,
    answers: [200, 200],
    after: "open",
    reaches: 2
  },
  {
    what: "an upgrade with a body",
    bytes: post("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n", "hello"),
    answers: [400],
    after: "closed",
    reaches: 0
  },
  {
    what: "an upgrade that the service refuses, with a request behind it",
    bytes: `${get(`${host}Connection: Upgrade\r\nUpgrade: websocket\r\n`)}${smuggled}`,
    answers: [200],
    after: "closed",
    reaches: 1
  },
  {
    what: "an upgrade to HTTP/2 in the clear",
    bytes: get(
      `${host}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: 6.6.6.6\r\n`
    ),
    answers: [200],
    after: "closed",
    reaches: 1
  },
  answered("an expectation that nobody meets", get(`${host}Expect: 6.6.6.6\r\n`), 417)
]

export const hostileRequests: ReadonlyArray<HostileRequest> = [
  ...framing,
  ...chunks,
  ...lines,
  ...targets,
  ...hosts,
  ...claims,
  ...pipelines
]
