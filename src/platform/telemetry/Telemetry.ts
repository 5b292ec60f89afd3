import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RuntimeFlags from "effect/RuntimeFlags"
import { Settings } from "../config/Settings.ts"

/** Makes no spans, which are most of the cost of tracing. */
const untraced = Layer.locallyScoped(FiberRef.currentTracerEnabled, false)

/** Effect counts and times every fiber, one for each request; these metrics have no reader. */
const withoutFiberMetrics = RuntimeFlags.disableRuntimeMetrics

/** Loaded only if something is exported. */
const exporters = Effect.promise(() => import("./TelemetryExport.ts"))

/** Exports by OTLP over HTTP, as the `OTEL_*` variables say. Its end sends what is left, within its share of the shutdown. */
export const layer = Layer.unwrapEffect(
  Effect.flatMap(Settings, ({ telemetry }) =>
    telemetry.disabled || Object.values(telemetry.destinations).every(Option.isNone)
      ? Effect.succeed(untraced)
      : Effect.map(exporters, ({ exporting }) =>
          Option.isSome(telemetry.destinations.traces) ? exporting : Layer.merge(exporting, untraced)
        )
  )
).pipe(Layer.provideMerge(withoutFiberMetrics))
