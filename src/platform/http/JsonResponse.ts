import * as HttpServerResponse from "@effect/platform/HttpServerResponse"

/**
 * A response with this JSON text. Node gets it as text, so head and body leave in one packet; the platform's own JSON responses
 * are encoded first and leave in two.
 */
export const jsonTextResponse = (
  text: string,
  options: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.raw(text, {
    status: options.status ?? 200,
    headers: {
      ...options.headers,
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(text))
    }
  })

/** The same for a value that JSON can hold. */
export const jsonResponse = (
  body: unknown,
  options?: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> }
): HttpServerResponse.HttpServerResponse => jsonTextResponse(JSON.stringify(body), options)
