import * as Http from "node:http"
import { performance } from "node:perf_hooks"
import * as Effect from "effect/Effect"
import { type Percentiles, percentiles } from "../Samples.ts"

export interface HttpLoadOptions {
  readonly url: string
  /** By default `/validate`. */
  readonly path?: string
  readonly token: string
  readonly body: string
  /** Kept alive, each with one request at a time. */
  readonly connections: number
  readonly millis: number
}

export interface Driven {
  readonly perSecond: number
  readonly latency: Percentiles
  /** All of them, the ones that did not count included. */
  readonly requests: number
}

/** Answers within this share of the time are of connections that have just been opened. */
const warmUp = 0.1

interface Answered {
  readonly at: number
  readonly nanoseconds: number
}

const ask = (target: URL, options: Http.RequestOptions, body: string) =>
  new Promise<void>((resolve, reject) => {
    const request = Http.request(target, options, (response) => {
      response.resume()
      response.once("end", () => {
        if (response.statusCode === 200) resolve()
        else reject(new Error(`${target.pathname} answered ${response.statusCode}`))
      })
    })
    request.once("error", reject)
    request.end(body)
  })

const drive = async (options: HttpLoadOptions): Promise<Driven> => {
  const agent = new Http.Agent({ keepAlive: true, maxSockets: options.connections })
  const target = new URL(options.path ?? "/validate", options.url)
  const request: Http.RequestOptions = {
    agent,
    method: "POST",
    headers: {
      authorization: `Bearer ${options.token}`,
      "content-type": "application/json",
      "content-length": Buffer.byteLength(options.body)
    }
  }
  const answers: Array<Answered> = []
  const start = performance.now()
  const end = start + options.millis
  const oneConnection = async () => {
    while (performance.now() < end) {
      const asked = performance.now()
      await ask(target, request, options.body)
      const at = performance.now()
      answers.push({ at, nanoseconds: (at - asked) * 1_000_000 })
    }
  }
  try {
    await Promise.all(Array.from({ length: options.connections }, oneConnection))
  } finally {
    agent.destroy()
  }
  const from = start + options.millis * warmUp
  const counted = answers.filter(({ at }) => at >= from && at < end)
  return {
    perSecond: (counted.length * 1_000) / (end - from),
    latency: percentiles(Float64Array.from(counted, ({ nanoseconds }) => nanoseconds)),
    requests: answers.length
  }
}

/** As many requests as the server answers, for a time. Dies when one is not answered with 200. */
export const httpLoad = (options: HttpLoadOptions): Effect.Effect<Driven> => Effect.promise(() => drive(options))
