import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AllSettings from "../../../src/app/AllSettings.ts"
import { storage } from "../../../src/app/Storage.ts"
import { AuditLog } from "../../../src/audit/AuditLog.ts"
import { AuditId } from "../../../src/audit/encoding/AuditId.ts"
import * as Gatekeeper from "../../../src/gatekeeper/Gatekeeper.ts"
import { Addresses } from "../../../src/platform/http/Listener.ts"
import { ShutdownReport } from "../../../src/platform/os/ShutdownReport.ts"
import * as Logging from "../../../src/platform/telemetry/Logging.ts"
import * as Telemetry from "../../../src/platform/telemetry/Telemetry.ts"
import { endWithBench, tell, usageOnDemand } from "../../../test/support/BenchChild.ts"

/** A gatekeeper as the program runs one, or, with the word `off`, the same without a trail. ValidateBench starts it. */
const isOff = process.argv[2] === "off"

const anId = AuditId.make("0197d7a4-0000-7000-8000-000000000000")

const noTrail = Layer.succeed(AuditLog, {
  record: () => Effect.succeed(anId),
  recordAtOnce: () => anId,
  withdraw: () => Effect.void,
  accepting: Effect.succeed(true),
  status: Effect.dieMessage("there is no trail")
})

const trail = isOff ? noTrail : Layer.provide(Gatekeeper.trail, ShutdownReport.layer)

const announced = Effect.gen(function* () {
  const addresses = yield* (yield* Addresses).all
  yield* tell({ url: addresses.get("gatekeeper")?.url })
})

endWithBench()

Layer.effectDiscard(announced).pipe(
  Layer.merge(Layer.scopedDiscard(Effect.forkScoped(usageOnDemand))),
  Layer.provide(Gatekeeper.layer),
  Layer.provide(trail),
  Layer.provide([storage(["gatekeeper"], { join: false, beneathPools: Telemetry.layer }), Addresses.layer]),
  Layer.provide(Logging.layer("stderr")),
  Layer.provide([AllSettings.layer, NodeContext.layer]),
  Layer.launch,
  NodeRuntime.runMain
)
