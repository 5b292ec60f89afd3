import * as Http from "node:http"
import { performance } from "node:perf_hooks"
import * as Effect from "effect/Effect"
import * as Hash from "effect/Hash"
import type * as Scope from "effect/Scope"
import { PCGRandom } from "effect/Utils"
import { tokenOf } from "../../support/Tokens.ts"

/** What a request is made to become. */
export const kinds = ["allowed", "denied", "unauthenticated", "invalid"] as const
export type Kind = (typeof kinds)[number]

/** One request of the load. Its answer is present once it was read completely. */
export interface Exchange {
  /** Sent as `X-Request-Id`, which the trail records: it finds the row of a request whose answer was not read. */
  readonly requestId: string
  readonly kind: Kind
  /** Of `performance.now()`, when it was sent. */
  readonly at: number
  readonly answer?: Answer
}

export interface Answer {
  readonly status: number
  readonly auditId: string | undefined
  /** From when the request was sent until all of the answer was there; the wait for a free connection counts. */
  readonly millis: number
}

export interface LoadOptions {
  /** Of the gatekeeper. */
  readonly url: string
  /** Begins every request's id; the mix of requests follows from it. */
  readonly name: string
  /** Requests a second, sent whether or not those before were answered: a server that stands still delays all that come meanwhile. */
  readonly rate: number
  /** Kept alive, at most. */
  readonly connections: number
}

export interface Load {
  /** Grows while it runs. */
  readonly exchanges: ReadonlyArray<Exchange>
  readonly answered: () => number
  /** Sends nothing more, and waits until all that was sent is answered or will never be. */
  readonly stop: Effect.Effect<void>
}

interface Request {
  readonly kind: Kind
  readonly token: string | undefined
  readonly body: string
}

const tokens = Effect.promise(async () => ({ librarian: await tokenOf("Librarian"), scout: await tokenOf("Scout") }))
type Tokens = Effect.Effect.Success<typeof tokens>

/** Of every length up to a few kilobytes, mostly short, with what an encoder has to look at. */
const note = (random: PCGRandom): string => {
  const length = random.integer(random.integer(10) === 0 ? 3_000 : 80)
  return 'ghost "⟁" é\\'.repeat(Math.ceil(length / 12)).slice(0, length)
}

const invalidBodies = ['{"action":"read","resource":', '{"action":"read"}', '{"action":"","resource":"vaults/a"}', "[]"]

const drawRequest = (random: PCGRandom, { librarian, scout }: Tokens): Request => {
  const resource = `vaults/${random.integer(50)}`
  const body = (action: string) => JSON.stringify({ action, resource, metadata: { note: note(random) } })
  const draw = random.integer(10)
  if (draw < 5) return { kind: "allowed", token: librarian, body: body("read") }
  if (draw < 7) return { kind: "denied", token: scout, body: body("write") }
  if (draw < 9) {
    return { kind: "unauthenticated", token: draw === 7 ? undefined : `${librarian}x`, body: body("read") }
  }
  return { kind: "invalid", token: librarian, body: invalidBodies[random.integer(invalidBodies.length)] ?? "" }
}

const auditIdIn = (text: string): string | undefined => {
  try {
    const body = JSON.parse(text)
    return body.audit_id ?? body.error?.audit_id
  } catch {
    return undefined
  }
}

const tickMillis = 5

const begin = (options: LoadOptions, given: Tokens) => {
  const random = new PCGRandom(Hash.string(options.name))
  // Connections take turns: the server closes an idle one, which could fail the next request on it.
  const agent = new Http.Agent({ keepAlive: true, maxSockets: options.connections, scheduling: "fifo" })
  const target = new URL("/validate", options.url)
  const exchanges: Array<Exchange> = []
  const start = performance.now()
  let answered = 0
  let open = 0
  let onIdle = () => {}

  const send = () => {
    const at = performance.now()
    const { body, kind, token } = drawRequest(random, given)
    const exchange: { -readonly [K in keyof Exchange]: Exchange[K] } = {
      requestId: `${options.name}-${exchanges.length}`,
      kind,
      at
    }
    exchanges.push(exchange)
    open += 1
    const request = Http.request(target, {
      agent,
      method: "POST",
      headers: {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
        "x-request-id": exchange.requestId,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` })
      }
    })
    request.on("response", (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk) => {
        text += chunk
      })
      response.on("end", () => {
        if (!response.complete) return
        exchange.answer = {
          status: response.statusCode ?? 0,
          auditId: auditIdIn(text),
          millis: performance.now() - at
        }
        answered += 1
      })
    })
    // A server that is killed cuts its connections: what was not read whole counts as not answered.
    request.on("error", () => {})
    request.on("close", () => {
      open -= 1
      if (open === 0) onIdle()
    })
    request.end(body)
  }

  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - start) * options.rate) / 1_000)
    while (exchanges.length < due) send()
  }, tickMillis)

  const idle = Effect.async<void>((resume) => {
    onIdle = () => resume(Effect.void)
    if (open === 0) resume(Effect.void)
  })
  const cease = Effect.sync(() => clearInterval(timer))
  const load: Load = { exchanges, answered: () => answered, stop: Effect.zipRight(cease, idle) }
  return {
    load,
    end: Effect.zipRight(
      cease,
      Effect.sync(() => agent.destroy())
    )
  }
}

/** Asks `/validate` on kept-alive connections until it is stopped; cut off when the scope closes. */
export const load = (options: LoadOptions): Effect.Effect<Load, never, Scope.Scope> =>
  Effect.flatMap(tokens, (given) =>
    Effect.acquireRelease(
      Effect.sync(() => begin(options, given)),
      ({ end }) => end
    )
  ).pipe(Effect.map(({ load }) => load))
