import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { createLocalJWKSet, errors, type LocalJWKSet } from "jose"
import type { TokenSettingsValues } from "./TokenSettings.ts"

/** Whether the token is good cannot be known: the issuer's keys are not there, or are too old to be believed. */
export class KeysUnavailable extends Schema.TaggedError<KeysUnavailable>()("KeysUnavailable", {
  reason: Schema.String
}) {
  override get message(): string {
    return `the issuer's signing keys cannot be fetched (${this.reason}), so the token cannot be checked; JWKS_URL says where they are. Try again later`
  }
}

export type Jwks = Option.Option.Value<TokenSettingsValues["jwks"]>

const maximumBytes = 512 * 1024

const readAll = async (response: Response): Promise<string> => {
  const chunks: Array<Uint8Array> = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > maximumBytes) throw new KeysUnavailable({ reason: `they are larger than ${maximumBytes} bytes` })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString("utf8")
}

/** Nothing of the answer is told: it comes from outside. */
const reasonOf = (thrown: unknown): string => {
  if (thrown instanceof KeysUnavailable) return thrown.reason
  if (thrown instanceof SyntaxError) return "the answer is not JSON"
  if (thrown instanceof errors.JWKSInvalid) return "the answer is no JSON Web Key Set"
  const code: unknown =
    thrown instanceof Error && typeof thrown.cause === "object" && thrown.cause !== null
      ? Reflect.get(thrown.cause, "code")
      : undefined
  return typeof code === "string" ? code : "the connection failed"
}

export interface Fetched {
  readonly text: string
  readonly find: LocalJWKSet
}

/**
 * Until `signal` says so, or too long. What is given to `fetch` need not end it: Node 20 collects AbortSignal.any over
 * AbortSignal.timeout, and what joins a signal to an answer that is being read. So the end is waited for here too.
 */
const withinTime = async <A>(
  { timeout }: Jwks,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<A>
): Promise<A> => {
  const end = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const ended = new Promise<never>((_, reject) => {
    const stop = () => {
      reject(new KeysUnavailable({ reason: "no answer in time" }))
      end.abort()
    }
    timer = setTimeout(stop, Duration.toMillis(timeout))
    signal.addEventListener("abort", stop, { once: true })
  })
  try {
    return await Promise.race([work(end.signal), ended])
  } finally {
    clearTimeout(timer)
  }
}

/** What is at `JWKS_URL` now. */
export const fetchKeys = (jwks: Jwks): Effect.Effect<Fetched, KeysUnavailable> =>
  Effect.tryPromise({
    try: (signal) =>
      withinTime(jwks, signal, async (signal) => {
        const response = await fetch(jwks.url, {
          headers: { accept: "application/jwk-set+json, application/json" },
          redirect: "error",
          signal
        })
        if (response.status !== 200) throw new KeysUnavailable({ reason: `status ${response.status}` })
        const text = await readAll(response)
        return { text, find: createLocalJWKSet(JSON.parse(text)) }
      }),
    catch: (thrown) => new KeysUnavailable({ reason: reasonOf(thrown) })
  })
