import * as FastCheck from "effect/FastCheck"
import { bodyOf } from "./Bodies.ts"
import type { Endpoint } from "./Document.ts"
import { headersOf } from "./Headers.ts"
import { targetOf } from "./Targets.ts"

/** A request as it is sent; a body that is no JSON is as good as one. */
export interface Input {
  readonly endpoint: Endpoint
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | undefined
}

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PURGE", "TRACE"]

/** Malformed requests of an endpoint, and well-formed ones between them: what is odd is one thing or several. */
export const inputOf = (endpoint: Endpoint, tokens: ReadonlyArray<string>): FastCheck.Arbitrary<Input> =>
  FastCheck.record({
    endpoint: FastCheck.constant(endpoint),
    method: FastCheck.oneof(
      { weight: 12, arbitrary: FastCheck.constant(endpoint.method) },
      { weight: 1, arbitrary: FastCheck.constantFrom(...methods) }
    ),
    target: targetOf(endpoint),
    headers: headersOf(tokens),
    body: bodyOf(endpoint)
  })
