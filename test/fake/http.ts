// The smallest HTTP/1.1 server that a fake engine needs, on node:net, so that a test decides about every byte: where
// it is cut, when it comes, whether it comes at all.
import { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";

/** A request as it came. */
export interface FakeRequest {
  readonly method: string;
  /** Path without version and query: "/containers/x/json". */
  readonly path: string;
  /** "1.41", or "" without one. */
  readonly version: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  json(): Record<string, unknown>;
}

/** Where an answer goes. */
export interface FakeReply {
  readonly socket: Socket;
  /** A whole answer. Objects are sent as JSON, text as it is. */
  send(status: number, body?: unknown): void;
  /** Headers of a chunked answer; pieces follow by `chunk`, `end`. */
  open(status: number): void;
  chunk(bytes: Uint8Array | string): void;
  end(): void;
  /** 101; the socket is raw from here on. What the client sent already is given back. */
  upgrade(): Uint8Array;
}

export type FakeHandler = (request: FakeRequest, reply: FakeReply) => void | Promise<void>;

/** A server on a unix socket. */
export interface FakeServer {
  readonly sockets: ReadonlySet<Socket>;
  close(): Promise<void>;
}

/** Opens the socket. Errors of connections are their own end, as with any server. */
export function listen(path: string, handler: FakeHandler): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    serve(socket, handler);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () =>
      resolve({
        sockets,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            for (const socket of sockets) socket.destroy();
          }),
      }));
  });
}

function serve(socket: Socket, handler: FakeHandler): void {
  let held = Buffer.alloc(0);
  let busy = false;
  let taken = false;

  const onData = (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    next();
  };
  const next = () => {
    if (busy || taken) return;
    const parsed = parse(held);
    if (parsed === null) return;
    held = held.subarray(parsed.size);
    busy = true;
    const done = () => {
      busy = false;
      next();
    };
    const write = (bytes: Uint8Array | string) => {
      if (!socket.destroyed && socket.writable) socket.write(bytes);
    };
    const reply: FakeReply = {
      socket,
      send(status, body) {
        const text = body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
        const type = typeof body === "string" ? "text/plain" : "application/json";
        const size = status === 204 || status === 304 ? "" : `Content-Length: ${Buffer.byteLength(text)}\r\n`;
        write(`HTTP/1.1 ${status} Fake\r\nContent-Type: ${type}\r\n${size}\r\n${size === "" ? "" : text}`);
        done();
      },
      open(status) {
        write(
          `HTTP/1.1 ${status} Fake\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
        );
      },
      chunk(bytes) {
        const whole = Buffer.from(bytes as Uint8Array);
        if (whole.length === 0) return;
        write(Buffer.concat([Buffer.from(`${whole.length.toString(16)}\r\n`), whole, Buffer.from("\r\n")]));
      },
      end() {
        write("0\r\n\r\n");
        done();
      },
      upgrade() {
        taken = true;
        socket.off("data", onData);
        socket.pause();
        write(
          "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n" +
            "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
        );
        return held;
      },
    };
    void (async () => {
      try {
        await handler(parsed.request, reply);
      } catch (error) {
        reply.send(500, { message: `the fake failed: ${error}` });
      }
    })();
  };
  socket.on("data", onData);
  // A client that ends its side of a plain connection is done with it.
  socket.on("end", () => {
    if (!taken) socket.end();
  });
}

function parse(bytes: Buffer): { request: FakeRequest; size: number } | null {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return null;
  const [first, ...lines] = bytes.subarray(0, headEnd).toString("latin1").split("\r\n");
  const [method, target] = first!.split(" ");
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const at = headEnd + 4;
  let body: Uint8Array;
  let size: number;
  if (headers["transfer-encoding"] === "chunked") {
    const chunked = parseChunked(bytes, at);
    if (chunked === null) return null;
    ({ body, size } = chunked);
  } else {
    size = at + Number(headers["content-length"] ?? 0);
    if (bytes.length < size) return null;
    body = bytes.subarray(at, size);
  }
  const url = new URL(target!, "http://fake");
  const versioned = /^\/v(\d+\.\d+)(\/.*)$/.exec(url.pathname);
  return {
    size,
    request: {
      method: method!,
      path: decodeURIComponent(versioned?.[2] ?? url.pathname),
      version: versioned?.[1] ?? "",
      query: url.searchParams,
      headers,
      body,
      json: () => JSON.parse(new TextDecoder().decode(body)),
    },
  };
}

function parseChunked(bytes: Buffer, from: number): { body: Uint8Array; size: number } | null {
  const pieces: Uint8Array[] = [];
  for (let at = from;;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return null;
    const size = parseInt(bytes.subarray(at, lineEnd).toString("latin1"), 16);
    const start = lineEnd + 2;
    if (bytes.length < start + size + 2) return null;
    if (size === 0) return { body: Buffer.concat(pieces), size: start + 2 };
    pieces.push(bytes.subarray(start, start + size));
    at = start + size + 2;
  }
}
