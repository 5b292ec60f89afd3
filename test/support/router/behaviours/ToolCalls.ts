import { answering } from "../Upstream.ts"
import { type Behaviour, call, called, type ExpectedAnswer, message, piece, streams } from "./Behaviour.ts"

export const cities = {
  calls: [
    ["weather", { city: "Paris" }],
    ["weather", { city: "Rome" }]
  ],
  finish_reason: "tool_calls"
} satisfies ExpectedAnswer
export const oneCity: ExpectedAnswer = { ...cities, calls: [["weather", { city: "Paris" }]] }
const calledAll = piece({}, "tool_calls")

/** Calls of tools in each provider's own way: OpenAI's clients would merge, lose or refuse some of them. */
export const toolCalls: ReadonlyArray<Behaviour> = [
  {
    title: "calls of tools that all have the index 0, in several chunks",
    stream: streams(
      called(call("a1", "Paris", { index: 0 })),
      called(call("a2", "Rome", { index: 0 })),
      calledAll,
      "[DONE]"
    ),
    expected: cities
  },
  {
    title: "calls of tools that all have the index 0, in one chunk",
    stream: streams(called(call("a1", "Paris", { index: 0 }), call("a2", "Rome", { index: 0 })), calledAll, "[DONE]"),
    expected: cities
  },
  {
    title: "calls of tools that all have the index 0, without ids",
    stream: streams(
      called(call("", "Paris", { index: 0 })),
      called(call("", "Rome", { index: 0 })),
      calledAll,
      "[DONE]"
    ),
    whole: answering(200, message({ tool_calls: [call("", "Paris"), call("", "Rome")] }, "tool_calls")),
    expected: cities
  },
  {
    title: "an index that starts at 1",
    stream: streams(
      called(call("a1", "Paris", { index: 1 })),
      called(call("a2", "Rome", { index: 2 })),
      calledAll,
      "[DONE]"
    ),
    expected: cities
  },
  {
    title: "an index that is missing, or a text",
    stream: streams(called(call("a1", "Paris")), called(call("a2", "Rome", { index: "1" })), calledAll, "[DONE]"),
    expected: cities
  },
  {
    title: "ids that are missing",
    stream: streams(
      called(call(undefined, "Paris", { index: 0 })),
      called(call(undefined, "Rome", { index: 1 })),
      calledAll,
      "[DONE]"
    ),
    whole: answering(200, message({ tool_calls: [call(undefined, "Paris"), call(undefined, "Rome")] }, "tool_calls")),
    expected: cities
  },
  {
    title: "ids that are equal",
    stream: streams(
      called(call("a", "Paris", { index: 0 })),
      called(call("a", "Rome", { index: 1 })),
      calledAll,
      "[DONE]"
    ),
    whole: answering(200, message({ tool_calls: [call("a", "Paris"), call("a", "Rome")] }, "tool_calls")),
    expected: cities
  },
  {
    title: "a type that is missing, and arguments that are an object",
    stream: streams(
      called({ index: 0, id: "a1", function: { name: "weather", arguments: { city: "Paris" } } }),
      calledAll,
      "[DONE]"
    ),
    whole: answering(
      200,
      message({ tool_calls: [{ id: "a1", function: { name: "weather", arguments: { city: "Paris" } } }] }, null)
    ),
    expected: oneCity
  },
  ...["a1", ""].map(
    (id): Behaviour => ({
      title: `the name in each piece, with the id ${JSON.stringify(id)}`,
      stream: streams(
        called({ index: 0, id, type: "function", function: { name: "weather", arguments: "" } }),
        called({ index: 0, id, type: "function", function: { name: "weather", arguments: '{"city":' } }),
        called({ index: 0, id, type: "function", function: { name: "weather", arguments: '"Paris"}' } }),
        called({ index: 0, id, type: "function", function: { name: "weather", arguments: "" } }),
        calledAll,
        "[DONE]"
      ),
      expected: oneCity
    })
  ),
  {
    title: "a function_call of the older form, without a finish reason",
    stream: streams(piece({ function_call: { name: "weather", arguments: '{"city":"Paris"}' } }), "[DONE]"),
    whole: answering(200, message({ function_call: { name: "weather", arguments: '{"city":"Paris"}' } }, null)),
    expected: { finish_reason: "function_call", contains: "Paris" }
  },
  {
    title: "another id in each piece of a call",
    stream: streams(
      called({ index: 0, id: "x1", type: "function", function: { name: "weather", arguments: "" } }),
      called({ index: 0, id: "x2", function: { name: null, arguments: '{"city":"Paris"}' } }),
      calledAll,
      "[DONE]"
    ),
    expected: oneCity
  }
]
