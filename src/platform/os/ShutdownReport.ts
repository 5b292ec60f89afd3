import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** What the process could not finish before its end. The exit code depends on it. */
export class ShutdownReport extends Context.Tag("platform/os/ShutdownReport")<
  ShutdownReport,
  {
    /** Reports audit events that were answered and may be neither in the database nor in a journal. */
    readonly reportUnwritten: (count: number) => Effect.Effect<void>
    readonly unwritten: () => number
  }
>() {
  static readonly make = (): typeof ShutdownReport.Service => {
    let unwritten = 0
    return {
      reportUnwritten: (count) =>
        Effect.sync(() => {
          unwritten += count
        }),
      unwritten: () => unwritten
    }
  }

  static readonly layer: Layer.Layer<ShutdownReport> = Layer.sync(ShutdownReport, ShutdownReport.make)
}
