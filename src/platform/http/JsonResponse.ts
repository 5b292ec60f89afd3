import * as HttpServerResponse from "@effect/platform/HttpServerResponse"

/**
 * An answer whose body is this JSON text. It is given to Node as text, which leaves with its head in one piece; the platform's own
 * JSON answers are encoded first and leave in two.
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

/** The same of a value that JSON can hold. */
export const jsonResponse = (
  body: unknown,
  options?: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> }
): HttpServerResponse.HttpServerResponse => jsonTextResponse(JSON.stringify(body), options)
