import { rootCertificates } from "node:tls"
import * as Undici from "@effect/platform-node/Undici"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { errors } from "jose"
import { readPem } from "../../platform/http/Tls.ts"
import { type KeySet, parseKeySet } from "./KeySet.ts"
import type { TokenSettingsValues } from "./TokenSettings.ts"

/** The token cannot be checked: the issuer's keys are missing or too old. */
export class KeysUnavailable extends Schema.TaggedError<KeysUnavailable>()("KeysUnavailable", {
  reason: Schema.String
}) {
  override get message(): string {
    return `the issuer's signing keys cannot be fetched (${this.reason}), so the token cannot be checked; JWKS_URL says where they are. Try again later`
  }
}

export type Jwks = Option.Option.Value<TokenSettingsValues["jwks"]>

const maximumBytes = 512 * 1024

/**
 * A connection pool that trusts the CAs of `PEER_CA_FILE` and those that come with Node; undefined where Node's own trust is enough. Node 20
 * cannot list the CAs of `NODE_EXTRA_CA_CERTS`: they have to be in that file too.
 */
const trusting = ({ caFile, url }: Jwks) =>
  Effect.gen(function* () {
    if (Option.isNone(caFile) || url.protocol !== "https:") return undefined
    const { ca } = yield* readPem({ ca: caFile, cert: Option.none(), key: Option.none() })
    const connect = { ca: [...rootCertificates, String(ca)] }
    return yield* Effect.acquireRelease(
      Effect.sync(() => new Undici.Agent({ connect })),
      (agent) => Effect.promise(() => agent.destroy())
    )
  }).pipe(Effect.mapError(() => new KeysUnavailable({ reason: "PEER_CA_FILE cannot be used" })))

const readAll = async (response: { readonly body: AsyncIterable<Uint8Array> | null }): Promise<string> => {
  const chunks: Array<Uint8Array> = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > maximumBytes) throw new KeysUnavailable({ reason: `they are larger than ${maximumBytes} bytes` })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString("utf8")
}

/** Describes an error without quoting the response, which is not trusted. */
const reasonOf = (thrown: unknown): string => {
  if (thrown instanceof KeysUnavailable) return thrown.reason
  if (thrown instanceof SyntaxError) return "the answer is not JSON"
  if (thrown instanceof errors.JWKSInvalid) return "the answer is not a JSON Web Key Set"
  const code: unknown =
    thrown instanceof Error && typeof thrown.cause === "object" && thrown.cause !== null
      ? Reflect.get(thrown.cause, "code")
      : undefined
  return typeof code === "string" ? code : "the connection failed"
}

export interface IssuerKeys extends KeySet {
  readonly text: string
}

/**
 * Runs `work` until it ends, `signal` aborts or the timeout passes. An abort does not always end a `fetch`: Node 20 may collect
 * AbortSignal.any over AbortSignal.timeout, and the signal of a response that is being read. So this waits for the abort itself.
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

/** A redirect is not followed: the keys that are believed are those of `JWKS_URL`. */
const statusProblem = (status: number): string =>
  status >= 300 && status < 400
    ? `status ${status}: it redirects, which is not followed; JWKS_URL must be the address of the keys themselves`
    : `status ${status}`

/** Fetches the keys from `JWKS_URL`. */
export const fetchKeys = (jwks: Jwks): Effect.Effect<IssuerKeys, KeysUnavailable> =>
  Effect.flatMap(trusting(jwks), (dispatcher) =>
    Effect.tryPromise({
      try: (signal) =>
        withinTime(jwks, signal, async (signal) => {
          const headers = { accept: "application/jwk-set+json, application/json" }
          const options = { headers, redirect: "manual", signal } as const
          const response = await (dispatcher === undefined
            ? fetch(jwks.url, options)
            : Undici.fetch(jwks.url, { ...options, dispatcher }))
          if (response.status !== 200) {
            await response.body?.cancel()
            throw new KeysUnavailable({ reason: statusProblem(response.status) })
          }
          const text = await readAll(response)
          return { text, ...parseKeySet(text) }
        }),
      catch: (thrown) => new KeysUnavailable({ reason: reasonOf(thrown) })
    })
  ).pipe(Effect.scoped)
