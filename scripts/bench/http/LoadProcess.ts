import { performance } from "node:perf_hooks"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { endWithBench, tell } from "../../../test/support/BenchChild.ts"
import { percentiles } from "../../../test/support/Samples.ts"
import { type LoadAnswer, type LoadConnection, openConnection } from "./LoadConnection.ts"
import { type AnswerTiming, closedLoop, openLoop } from "./LoadLoops.ts"
import { LoadOrder, type LoadResult } from "./LoadOrder.ts"

/** The load generator. HttpLoad starts it and sends it its orders, one after the other. */

/** Answers within this share of the time are of connections that have just been opened. */
const warmUp = 0.1

const requestText = ({ body, token, url }: LoadOrder): string => {
  const { host, pathname } = new URL(url)
  return [
    `POST ${pathname} HTTP/1.1`,
    `host: ${host}`,
    `authorization: Bearer ${token}`,
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    "",
    body
  ].join("\r\n")
}

const problemOf = ({ body, status }: LoadAnswer, { expected }: LoadOrder): string | undefined =>
  status === 200 && expected.every((text) => body.includes(text)) ? undefined : `answered ${status}: ${body}`

const auditIdOf = (body: string): ReadonlyArray<string> => /"audit_id":"([^"]+)"/.exec(body)?.slice(1) ?? []

const nanoseconds = (millis: ReadonlyArray<number>): Float64Array =>
  Float64Array.from(millis, (value) => value * 1_000_000)

const summary = (
  order: LoadOrder,
  { end, start }: { readonly start: number; readonly end: number },
  answers: ReadonlyArray<AnswerTiming>
) => {
  const from = start + order.millis * warmUp
  // An open loop ends with its last answer, which a server that does not keep up gives late.
  const last = order.requestsPerSecond === null ? end : Math.max(end, answers.at(-1)?.at ?? end)
  const counted = answers.filter(({ at }) => at >= from && at <= last)
  return {
    requests: answers.length,
    perSecond: (counted.length * 1_000) / (last - from),
    latency: percentiles(nanoseconds(counted.map(({ took }) => took)))
  }
}

const drive = async (order: LoadOrder): Promise<LoadResult> => {
  const answers: Array<AnswerTiming> = []
  const lateness: Array<number> = []
  const auditIds: Array<string> = []
  const connections: Array<LoadConnection> = []
  let lost = (_: Error): void => {}
  let wrong = lost
  const cutShort = new Promise<void>((resolve, reject) => {
    wrong = reject
    lost = order.isKilled ? () => resolve() : reject
  })
  const request = requestText(order)
  for (let number = 0; number < order.connections; number++) {
    connections.push(await openConnection(new URL(order.url), request, (error) => lost(error)))
  }
  const start = performance.now()
  const end = start + order.millis
  const loop = {
    connections,
    start,
    end,
    answered: (answer: LoadAnswer, timing: AnswerTiming) => {
      const problem = problemOf(answer, order)
      if (problem !== undefined) wrong(new Error(`${order.url} ${problem}`))
      answers.push(timing)
      if (order.isKilled) auditIds.push(...auditIdOf(answer.body))
    }
  }
  const before = performance.eventLoopUtilization()
  const { requestsPerSecond } = order
  const driven =
    requestsPerSecond === null ? closedLoop(loop) : openLoop(loop, requestsPerSecond, (millis) => lateness.push(millis))
  await Promise.race([driven, cutShort])
  const { utilization } = performance.eventLoopUtilization(before)
  for (const connection of connections) connection.close()
  return {
    ...summary(order, { start, end }, answers),
    idleShare: 1 - utilization,
    lateness: percentiles(nanoseconds(lateness)),
    auditIds
  }
}

const nextOrder = Effect.async<unknown>((resume) => {
  process.once("message", (message) => resume(Effect.succeed(message)))
}).pipe(Effect.flatMap(Schema.decodeUnknown(Schema.parseJson(LoadOrder))))

endWithBench()

nextOrder.pipe(
  Effect.flatMap((order) => Effect.promise(() => drive(order))),
  Effect.flatMap(tell),
  Effect.forever,
  NodeRuntime.runMain
)
