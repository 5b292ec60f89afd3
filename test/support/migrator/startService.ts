import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { exitCode, exitMessage } from "../../../src/app/ExitStatus.ts"
import { ServiceName } from "../../../src/domain/Service.ts"
import { gatekeeperSchema } from "../../../src/gatekeeper/GatekeeperSchema.ts"
import { guardianSchema } from "../../../src/guardian/GuardianSchema.ts"
import { MigrationsDirectory } from "../../../src/migrator/files/RevisionSet.ts"
import { Settings } from "../../../src/platform/config/Settings.ts"
import { ShutdownReport } from "../../../src/platform/os/ShutdownReport.ts"
import { Database } from "../../../src/platform/postgres/Database.ts"
import { routerSchema } from "../../../src/router/RouterSchema.ts"

/**
 * A process that starts a service as far as the point where its port would open, says so, and ends. Argument: the service.
 * MIGRATIONS: another folder of migrations than the shipped one.
 */
const service = Schema.decodeUnknownSync(ServiceName)(process.argv[2])

const migrated = {
  gatekeeper: Layer.discard(gatekeeperSchema.layer),
  guardian: Layer.discard(guardianSchema.layer),
  router: Layer.discard(routerSchema.layer)
}

const started = Layer.effectDiscard(Effect.log("the port would open")).pipe(
  Layer.provide(migrated[service]),
  Layer.provide(Database.layer([service])),
  Layer.provide(Settings.layer),
  Layer.provide(NodeContext.layer)
)

NodeRuntime.runMain(
  Effect.flatMap(MigrationsDirectory, (shipped) =>
    Effect.scoped(Layer.build(started)).pipe(
      Effect.provideService(MigrationsDirectory, process.env["MIGRATIONS"] ?? shipped)
    )
  ),
  {
    disableErrorReporting: true,
    teardown: (exit, end) => {
      process.stderr.write(`${exitMessage(exit) ?? ""}\n`)
      end(exitCode(exit, { signal: "SIGTERM", serving: false, report: ShutdownReport.make() }))
    }
  }
)
