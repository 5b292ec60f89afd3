import * as FastCheck from "effect/FastCheck"

const contentTypes = [
  "application/json",
  "application/json",
  "application/json; charset=utf-16",
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data",
  "multipart/form-data; boundary=x",
  "application/octet-stream",
  "garbage",
  ""
]

/** What a header can carry at all. */
const headerText = FastCheck.stringMatching(/^[ -~]{0,200}$/)

const traceparents = [
  "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
  "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
]

/** Generates headers around one of the tokens; some tokens are not valid. */
export const headersOf = (tokens: ReadonlyArray<string>) =>
  FastCheck.record(
    {
      authorization: FastCheck.oneof(
        { weight: 8, arbitrary: FastCheck.constantFrom(...tokens.map((token) => `Bearer ${token}`)) },
        {
          weight: 2,
          arbitrary: FastCheck.constantFrom(
            "Bearer",
            "Bearer ",
            "Basic YTpi",
            "bearer x.y.z",
            `Bearer ${"a".repeat(9_000)}`
          )
        },
        { weight: 1, arbitrary: headerText }
      ),
      "content-type": FastCheck.constantFrom(...contentTypes),
      "x-request-id": FastCheck.oneof(
        FastCheck.constantFrom("fuzz-1", "x".repeat(100), "x".repeat(101), "Root=1-a/b+c==", "a b", ""),
        headerText
      ),
      traceparent: FastCheck.oneof(FastCheck.constantFrom(...traceparents), headerText),
      tracestate: headerText,
      accept: FastCheck.constantFrom("*/*", "text/event-stream", "image/png", "garbage"),
      "x-http-method-override": FastCheck.constant("DELETE"),
      cookie: headerText
    },
    { requiredKeys: ["authorization"], noNullPrototype: true }
  )
