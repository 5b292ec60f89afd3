import type { Reporter, TestModule, Vitest } from "vitest/node"

const slowest = 10

const seconds = (millis: number): string => `${(millis / 1000).toFixed(1)} s`

const durationOf = (module: TestModule): number => {
  const { collectDuration, duration } = module.diagnostic()
  return collectDuration + duration
}

const pathOf = (module: TestModule): string => module.moduleId.slice(module.project.config.root.length + 1)

const skipsOf = (module: TestModule): ReadonlyArray<string> =>
  [...module.children.allTests("skipped")].map((test) => {
    const result = test.result()
    const reason = (result.state === "skipped" ? result.note : undefined) ?? "no reason given"
    return `  ${pathOf(module)} > ${test.fullName}: ${reason}`
  })

/** Prints why tests were skipped, and the files that took longest. */
export default class RunSummary implements Reporter {
  #log: (text: string) => void = () => {}

  onInit({ logger }: Vitest): void {
    this.#log = (text) => logger.log(text)
  }

  onTestRunEnd(modules: ReadonlyArray<TestModule>): void {
    const skips = modules.flatMap(skipsOf)
    if (skips.length > 0) this.#log(["", "Skipped:", ...skips].join("\n"))
    if (modules.length <= slowest) return
    const ranked = modules.toSorted((left, right) => durationOf(right) - durationOf(left)).slice(0, slowest)
    const lines = ranked.map((module) => `  ${seconds(durationOf(module)).padStart(8)}  ${pathOf(module)}`)
    this.#log(["", "Slowest files:", ...lines].join("\n"))
  }
}
