import * as Zlib from "node:zlib"
import { answering, completion, delta, events, type Script, usageChunk } from "../Upstream.ts"
import {
  type Behaviour,
  brief,
  call,
  hello,
  hi,
  keptAlive,
  left,
  message,
  paced,
  piece,
  spoken,
  streams
} from "./Behaviour.ts"
import { cities } from "./ToolCalls.ts"

const marked: Script = (_, response) =>
  response
    .writeHead(200, { "content-type": "application/json" })
    .end(Buffer.from(`\ufeff${JSON.stringify(completion(hi))}`))

/** Ways of HTTP. */
export const transports: ReadonlyArray<Behaviour> = [
  ...(["text/plain", "application/octet-stream", "application/json"] as const).map(
    (type): Behaviour => ({
      title: `an event stream as ${type}, also where none was asked for`,
      stream: (_, response) => response.writeHead(200, { "content-type": type }).end(events(...spoken)),
      whole: (_, response) => response.writeHead(200, { "content-type": type }).end(events(...spoken)),
      expected: hello
    })
  ),
  {
    title: "JSON where a stream was asked for, and status 201",
    stream: answering(201, completion(hi)),
    whole: answering(201, completion(hi)),
    expected: { ...hello, usage: [7, 2] }
  },
  {
    title: "a byte order mark before JSON",
    stream: marked,
    whole: marked,
    expected: hello
  },
  {
    title: "a byte order mark before JSON, in two pieces",
    stream: (_, response) => {
      response.writeHead(200, { "content-type": "application/json" }).write(Buffer.from([0xef]))
      setTimeout(() => response.end(Buffer.from(`\ufeff${JSON.stringify(completion(hi))}`).subarray(1)), 20)
    },
    expected: hello
  },
  {
    title: "calls of tools in JSON where a stream was asked for",
    stream: answering(200, message({ tool_calls: [call("a1", "Paris"), call("a2", "Rome")] }, "tool_calls")),
    expected: cities
  },
  ...(["gzip", "br", "deflate"] as const).map((coding): Behaviour => {
    const coded = { gzip: Zlib.gzipSync, br: Zlib.brotliCompressSync, deflate: Zlib.deflateSync }[coding]
    const send =
      (type: string, text: string): Script =>
      (_, response) =>
        response.writeHead(200, { "content-type": type, "content-encoding": coding }).end(coded(text))
    return {
      title: `${coding}, which was not asked for`,
      stream: send("text/event-stream", events(...spoken)),
      whole: send("application/json", JSON.stringify(completion(hi))),
      expected: hello
    }
  }),
  {
    title: "403 for a request that names no program",
    stream: (request, response) =>
      (request.headers["user-agent"]?.startsWith("gravitas/") === true ? streams(...spoken) : answering(403, "no"))(
        request,
        response
      ),
    expected: hello
  },
  {
    title: "100 Continue, which was not asked for",
    stream: (request, response) => {
      response.writeContinue()
      setTimeout(() => streams(...spoken)(request, response), 20)
    },
    whole: (request, response) => {
      response.writeContinue()
      setTimeout(() => answering(200, completion(hi))(request, response), 20)
    },
    expected: hello
  }
]

const refusesField =
  (field: string): Script =>
  (request, response) =>
    (field in request.body ? answering(400, `unknown field ${field}`) : streams(...spoken))(request, response)

/** What a provider does not accept. */
export const limits: ReadonlyArray<Behaviour> = [
  {
    title: "a field stream_options that it refuses, and models.yaml switches off",
    spec: { streamOptions: false },
    stream: refusesField("stream_options"),
    expected: { ...hello, usage: undefined }
  },
  {
    title: "a limit of tokens, where the client names none",
    stream: refusesField("max_tokens"),
    whole: (request, response) =>
      answering("max_tokens" in request.body ? 400 : 200, completion(hi))(request, response),
    expected: hello
  },
  {
    title: "a field that models.yaml leaves out",
    spec: { fields: new Map([["store", "drop"]]) },
    fields: { store: true },
    stream: refusesField("store"),
    expected: hello
  },
  {
    title: "a field that is neither OpenAI's nor in models.yaml",
    fields: { top_k: 5 },
    stream: refusesField("top_k"),
    whole: refusesField("top_k"),
    expected: { kind: "rejected", code: "provider_rejected", shouldRetry: "false" }
  },
  {
    title: "a field that models.yaml lets pass",
    spec: { fields: new Map([["top_k", "pass"]]) },
    fields: { top_k: 5 },
    stream: (request, response) =>
      (request.body["top_k"] === 5 ? streams(...spoken) : answering(400, "top_k is missing"))(request, response),
    expected: hello
  }
]

/** Silence and its end. */
export const times: ReadonlyArray<Behaviour> = [
  {
    title: "comments for longer than it may be silent before the first word",
    spec: { timeouts: brief },
    stream: paced(80, ...keptAlive, events(...spoken)),
    expected: hello
  },
  {
    title: "comments for longer than it may be silent in its answer",
    spec: { timeouts: brief },
    stream: paced(80, events(delta("hello")), ...keptAlive, events(delta(" there", "stop"), "[DONE]")),
    expected: hello
  },
  {
    title: "all that it has to say, but neither [DONE] nor an end",
    spec: { timeouts: brief },
    stream: left(events(delta("hello"), delta(" there", "stop"), usageChunk)),
    expected: { ...hello, usage: [7, 2] }
  },
  {
    title: "a role, and then silence",
    spec: { timeouts: brief },
    stream: left(events(piece({ role: "assistant", content: "" }))),
    expected: { kind: "timed_out", code: "provider_timeout" }
  }
]
