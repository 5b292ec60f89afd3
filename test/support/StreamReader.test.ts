import { describe, expect, it } from "@effect/vitest"
import { streamReader } from "./StreamReader.ts"

const head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

describe("StreamReader", () => {
  it("tells the head, the first byte of the body and the end of a chunked answer apart", () => {
    const reader = streamReader()
    expect(reader.read("HTTP/1.1 200 OK\r\ntransfer-")).toBe("head")
    expect(reader.read("encoding: chunked\r\n\r\n")).toBe("head")
    expect(reader.read("5\r\nhello\r\n")).toBe("body")
    expect(reader.read("0\r\n")).toBe("body")
    expect(reader.read("\r\n")).toBe("ended")
    expect(reader.take()).toMatchObject({ status: 200, text: expect.stringContaining("hello") })
  })

  it("ends an answer with a length where its length says, and begins the next one empty", () => {
    const reader = streamReader()
    expect(reader.read("HTTP/1.1 503 No\r\ncontent-length: 4\r\n\r\nbu")).toBe("body")
    expect(reader.read("sy")).toBe("ended")
    expect(reader.take().status).toBe(503)
    expect(reader.read(`${head}2\r\nok\r\n0\r\n\r\n`)).toBe("ended")
    expect(reader.take().status).toBe(200)
  })
})
