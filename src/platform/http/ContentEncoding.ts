import type { IncomingMessage } from "node:http"
import * as Zlib from "node:zlib"
import type { ErrorCode } from "../../contracts/ErrorCodes.ts"
import { statusOf } from "../../contracts/ErrorCodes.ts"

/** `tooLarge`: more than the limit; `broken`: not of that coding. */
export type DecodedBody = Buffer | "tooLarge" | { readonly broken: string }

type Decompress = (
  bytes: Buffer,
  options: { readonly maxOutputLength: number },
  done: (error: NodeJS.ErrnoException | null, decoded: Buffer) => void
) => void

/** The header of zlib's format (RFC 1950, section 2.2). Some clients send `deflate` without it, which RFC 9110, section 8.4.1.2, notes. */
const hasZlibHeader = (bytes: Buffer): boolean =>
  bytes.length >= 2 && (bytes.readUInt8(0) & 0x0f) === 8 && bytes.readUInt16BE(0) % 31 === 0

const inflate: Decompress = (bytes, options, done) =>
  (hasZlibHeader(bytes) ? Zlib.inflate : Zlib.inflateRaw)(bytes, options, done)

const gunzip: Decompress = (bytes, options, done) => Zlib.gunzip(bytes, options, done)

const brotli: Decompress = (bytes, options, done) => Zlib.brotliDecompress(bytes, options, done)

/** Node has it from 22.15 on; the types are those of Node 20. */
const zstdDecompress: unknown = Reflect.get(Zlib, "zstdDecompress")

const codings: ReadonlyMap<string, Decompress> = new Map<string, Decompress>([
  ["gzip", gunzip],
  ["x-gzip", gunzip],
  ["br", brotli],
  ["deflate", inflate],
  ...(typeof zstdDecompress === "function"
    ? [["zstd", (...given) => void Reflect.apply(zstdDecompress, Zlib, given)] satisfies [string, Decompress]]
    : [])
])

/** The codings of a body, in the order in which they were applied; `identity` says nothing. */
const codingsOf = (header: string | undefined): ReadonlyArray<string> =>
  header === undefined
    ? []
    : header
        .split(",")
        .map((one) => one.trim().toLowerCase())
        .filter((one) => one !== "" && one !== "identity")

/** Each coding may multiply a body's size, and a client needs one. */
const maximumCodings = 2

/** The value of `Accept-Encoding`; `x-gzip` is another name of gzip. */
const accepted = [...codings.keys()].filter((name) => name !== "x-gzip").join(", ")

export interface UnsupportedEncoding {
  readonly status: number
  readonly code: Extract<ErrorCode, "unsupported_media_type">
  readonly message: string
  readonly headers: Readonly<Record<string, string>>
}

/** The refusal of a body in a coding that this server does not know (RFC 9110, section 15.5.16). */
export const unsupportedEncoding = ({
  headers: { "content-encoding": encoding }
}: Pick<IncomingMessage, "headers">): UnsupportedEncoding | undefined => {
  // Nearly every request.
  if (encoding === undefined) return undefined
  const named = codingsOf(encoding)
  if (named.length <= maximumCodings && named.every((one) => codings.has(one))) return undefined
  const code = "unsupported_media_type"
  return {
    status: statusOf(code),
    code,
    message: `the Content-Encoding of the body must be one or two of ${accepted}, or left out`,
    headers: { "accept-encoding": accepted }
  }
}

/**
 * Decodes a body, and calls `done` once. The limit, in bytes, holds after each coding, so that a small body that decodes to a large
 * one costs no more than any other.
 */
export const decodeBody = (
  bytes: Buffer,
  encoding: string | undefined,
  limit: number,
  done: (body: DecodedBody) => void
): void => {
  const named = [...codingsOf(encoding)]
  const next = (body: Buffer): void => {
    const name = named.pop()
    const decompress = codings.get(name ?? "")
    if (name === undefined) done(body)
    else if (decompress === undefined) done({ broken: name })
    else {
      decompress(body, { maxOutputLength: limit }, (error, decoded) => {
        if (error === null) next(decoded)
        else done(error.code === "ERR_BUFFER_TOO_LARGE" ? "tooLarge" : { broken: name })
      })
    }
  }
  next(bytes)
}
