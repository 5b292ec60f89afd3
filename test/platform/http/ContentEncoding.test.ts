import { expect, it } from "@effect/vitest"
import { unsupportedEncoding } from "../../../src/platform/http/ContentEncoding.ts"

const refused = (encoding: string) => unsupportedEncoding({ headers: { "content-encoding": encoding } })

it("a coding that is known is accepted, in any case", () => {
  for (const encoding of ["gzip", "GZIP", "x-gzip", "br", "deflate", "identity", "", "br, gzip", "identity , gzip"]) {
    expect([encoding, refused(encoding)]).toEqual([encoding, undefined])
  }
  expect(unsupportedEncoding({ headers: {} })).toBeUndefined()
})

it("another coding, or a long chain of them, is refused with the codings that are accepted", () => {
  for (const encoding of ["compress", "utf-8", "gzip, snappy", "*", "gzip;q=1", "gzip, gzip, gzip", "chunked"]) {
    expect([encoding, refused(encoding)]).toEqual([
      encoding,
      {
        status: 415,
        code: "unsupported_media_type",
        message: expect.stringContaining("Content-Encoding"),
        headers: { "accept-encoding": expect.stringMatching(/^gzip, br, deflate(, zstd)?$/) }
      }
    ])
  }
})
