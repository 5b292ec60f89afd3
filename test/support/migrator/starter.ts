import { createInterface } from "node:readline"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../../src/domain/Service.ts"
import { gatekeeperSchema } from "../../../src/gatekeeper/GatekeeperSchema.ts"
import { guardianSchema } from "../../../src/guardian/GuardianSchema.ts"
import { Settings } from "../../../src/platform/config/Settings.ts"
import { Database } from "../../../src/platform/postgres/Database.ts"
import { routerSchema } from "../../../src/router/RouterSchema.ts"

/**
 * A process that starts services as often as it is told, so that rounds cost no new processes. One JSON object a line:
 * in the order, out what became of it.
 */
const Order = Schema.parseJson(Schema.Struct({ url: Schema.String, service: ServiceName, delay: Schema.Number }))

const layers = {
  gatekeeper: Layer.discard(gatekeeperSchema.layer),
  guardian: Layer.discard(guardianSchema.layer),
  router: Layer.discard(routerSchema.layer)
}

const start = (line: string) =>
  Effect.gen(function* () {
    const { delay, service, url } = yield* Schema.decode(Order)(line)
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => lines.push(String(message)))
    const settings = Settings.layer.pipe(
      Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map([["DATABASE_URL", url]]))))
    )
    yield* Effect.sleep(delay)
    const problem = yield* Layer.build(
      layers[service].pipe(Layer.provide(Database.layer([service])), Layer.provide([settings, NodeContext.layer]))
    ).pipe(
      Effect.scoped,
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Effect.match({ onSuccess: () => null, onFailure: ({ message }) => message })
    )
    const applied = lines.flatMap((text) => /^\w+: (\d{4}_\w+) applied in/.exec(text)?.[1] ?? [])
    return { problem, applied }
  })

createInterface({ input: process.stdin }).on("line", (line) => {
  Effect.runPromise(start(line)).then(
    (ended) => process.stdout.write(`${JSON.stringify(ended)}\n`),
    (defect: unknown) => process.stdout.write(`${JSON.stringify({ problem: String(defect), applied: [] })}\n`)
  )
})
process.stdout.write(`${JSON.stringify({ problem: null, applied: [] })}\n`)
