import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AllSettings from "../../../src/app/AllSettings.ts"
import { serve } from "../../../src/app/Serve.ts"
import { serviceNames } from "../../../src/domain/Service.ts"
import { Addresses } from "../../../src/platform/http/Listener.ts"
import { ShutdownReport } from "../../../src/platform/os/ShutdownReport.ts"
import * as StandardStreams from "../../../src/platform/os/StandardStreams.ts"
import { endWithBench, tell, usageOnDemand } from "../../../test/support/BenchChild.ts"

/** All services in one process, as the program runs them. ChatBench starts it. */

const announced = Effect.gen(function* () {
  const addresses = yield* (yield* Addresses).all
  yield* tell({ guardian: addresses.get("guardian")?.url, router: addresses.get("router")?.url })
  yield* Effect.forkScoped(usageOnDemand)
})

endWithBench()

serve(serviceNames, { onReady: Layer.scopedDiscard(announced), onStart: Layer.empty }).pipe(
  Effect.provide([ShutdownReport.layer, StandardStreams.layer, AllSettings.layer, NodeContext.layer]),
  NodeRuntime.runMain
)
