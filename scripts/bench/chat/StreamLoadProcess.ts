import * as Net from "node:net"
import { performance } from "node:perf_hooks"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { endWithBench, tell } from "../../../test/support/BenchChild.ts"
import { streamReader } from "../../../test/support/StreamReader.ts"
import { StreamOrder, type StreamResult } from "./StreamOrder.ts"

/** The generator of streams. StreamTargets starts it and sends it its orders, one after the other. */

const requestText = ({ body, headers, url }: StreamOrder): string => {
  const { host, pathname } = new URL(url)
  return [
    `POST ${pathname} HTTP/1.1`,
    `host: ${host}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    "",
    body
  ].join("\r\n")
}

/** What all streams of an order share. */
interface Tally {
  readonly firstByte: Array<number>
  readonly whole: Array<number>
  /** Whether another request may begin; counts it. */
  readonly begin: () => boolean
}

/** One request after the other on one connection, until no more may begin. */
const stream = (order: StreamOrder, request: Buffer, { begin, firstByte, whole }: Tally): Promise<void> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(order.url)
    const socket = Net.connect({ host: hostname, port: Number(port), noDelay: true })
    const reader = streamReader()
    let asked = 0
    let isFirst = true
    const next = (): void => {
      if (!begin()) {
        socket.removeAllListeners("close")
        socket.destroy()
        resolve()
        return
      }
      isFirst = true
      asked = performance.now()
      socket.write(request)
    }
    socket.setEncoding("latin1")
    socket.on("data", (received: string) => {
      const progress = reader.read(received)
      if (progress === "head") return
      const took = (performance.now() - asked) * 1_000
      if (isFirst) firstByte.push(took)
      isFirst = false
      if (progress === "body") return
      whole.push(took)
      const { status, text } = reader.take()
      if (status === 200 && order.expected.every((part) => text.includes(part))) next()
      else reject(new Error(`${order.url} answered ${status}: ${text}`))
    })
    socket.once("error", reject)
    socket.once("close", () =>
      reject(new Error(`${order.url} closed a connection; it answered: ${reader.take().text}`))
    )
    socket.once("connect", next)
  })

const drive = async (order: StreamOrder): Promise<StreamResult> => {
  const { millis, requests, streams } = order
  const start = performance.now()
  let begun = 0
  const tally: Tally = {
    firstByte: [],
    whole: [],
    begin: () => {
      begun += 1
      return (requests === null || begun <= requests) && (millis === null || performance.now() < start + millis)
    }
  }
  const request = Buffer.from(requestText(order))
  const before = performance.eventLoopUtilization()
  await Promise.all(Array.from({ length: streams }, () => stream(order, request, tally)))
  const { utilization } = performance.eventLoopUtilization(before)
  const { firstByte, whole } = tally
  const perSecond = (whole.length * 1_000) / (performance.now() - start)
  return { firstByte, whole, perSecond, idleShare: 1 - utilization }
}

const nextOrder = Effect.async<unknown>((resume) => {
  process.once("message", (message) => resume(Effect.succeed(message)))
}).pipe(Effect.flatMap(Schema.decodeUnknown(Schema.parseJson(StreamOrder))))

endWithBench()

nextOrder.pipe(
  Effect.flatMap((order) => Effect.promise(() => drive(order))),
  Effect.flatMap((result) => tell({ ...result })),
  Effect.forever,
  NodeRuntime.runMain
)
