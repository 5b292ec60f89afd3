import { answering, delta, events } from "../Upstream.ts"
import { type Behaviour, call, called, chunk, hello, hi, message, paced, piece, spoken, streams } from "./Behaviour.ts"
import { oneCity } from "./ToolCalls.ts"

/** Parts that are missing, more than was asked for, or not a chunk. */
export const shapes: ReadonlyArray<Behaviour> = [
  {
    title: "a choice without index, a delta without role, and no reason to end before [DONE]",
    stream: streams(chunk({ choices: [{ delta: { content: hi } }] }), "[DONE]"),
    whole: answering(200, { choices: [{ message: { content: hi } }] }),
    expected: hello
  },
  {
    title: "a call of a tool without a reason to end",
    stream: streams(called(call("a1", "Paris", { index: 0 })), "[DONE]"),
    whole: answering(200, message({ tool_calls: [call("a1", "Paris")] }, "")),
    expected: oneCity
  },
  {
    title: "chunks without a delta, and with one that is null",
    stream: streams(chunk({ choices: [{ index: 0, content_filter_offsets: {} }] }), piece(null), ...spoken),
    expected: hello
  },
  ...[
    ["an event without data", "data:\n\n"],
    ["an event named ping", 'event: ping\ndata: {"type":"ping"}\n\n'],
    ["an event of the vendor", 'event: metadata\ndata: {"took":7}\n\n'],
    ["JSON that is not a chunk", events('{"type":"ping"}')]
  ].map(
    ([what, event]): Behaviour => ({
      title: `${what}, before, in and after the answer`,
      stream: paced(1, `${event}${events(delta("hello"))}${event}${events(delta(" there", "stop"))}${event}`),
      expected: hello
    })
  ),
  {
    title: "the usage in an event of its own, without choices and object",
    stream: streams(...spoken.slice(0, 2), '{"usage":{"prompt_tokens":7,"completion_tokens":2}}', "[DONE]"),
    expected: { ...hello, usage: [7, 2] }
  },
  {
    title: "the usage in x_groq alone",
    stream: streams(
      delta("hello"),
      piece({ content: " there" }, "stop", { x_groq: { usage: { prompt_tokens: 7, completion_tokens: 2 } } }),
      "[DONE]"
    ),
    expected: { ...hello, usage: [7, 2] }
  },
  {
    title: "citations and a fingerprint beside the choices",
    stream: streams(
      piece({ role: "assistant", content: hi }, "stop", {
        citations: ["http://a"],
        system_fingerprint: "fp",
        provider: "secretive"
      }),
      "[DONE]"
    ),
    whole: answering(
      200,
      message({ content: hi }, "stop", { citations: ["http://a"], system_fingerprint: "fp", provider: "secretive" })
    ),
    expected: { ...hello, more: { citations: ["http://a"], system_fingerprint: "fp" }, lacks: "secretive" }
  },
  {
    title: "numbers that a double does not hold",
    stream: streams(
      `{"choices":[{"index":0,"delta":{"role":"assistant","content":"hi","n":9007199254740993},"finish_reason":"stop"}]}`,
      "[DONE]"
    ),
    whole: answering(
      200,
      `{"choices":[{"index":0,"message":{"role":"assistant","content":"hi","n":9007199254740993},"finish_reason":"stop"}]}`
    ),
    expected: { content: "hi", contains: "9007199254740993" }
  }
]
