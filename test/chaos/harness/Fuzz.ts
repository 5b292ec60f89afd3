import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { serviceNames } from "../../../src/domain/Service.ts"
import { benchServer, databaseOn } from "../../support/BenchDatabase.ts"
import { program } from "../../support/Program.ts"
import { signingSecret } from "../../support/Tokens.ts"
import { fuzz } from "./FuzzRun.ts"

/** Answers whether every request was answered as the documents say, and every decision has its row. */
export const fuzzCommand = (options: { readonly requests: number; readonly seed: number; readonly json: boolean }) =>
  Effect.gen(function* () {
    const databaseUrl = yield* databaseOn(yield* benchServer)
    const running = yield* program({
      environment: { DATABASE_URL: Redacted.value(databaseUrl), JWT_SECRET_KEY: signingSecret, LOG_LEVEL: "error" }
    })
    const urls = yield* Effect.forEach(serviceNames, running.url)
    const report = yield* fuzz({ urls, databaseUrl, requests: options.requests, seed: options.seed })
    if (options.json) console.log(JSON.stringify(report, null, 2))
    else {
      const statuses = Object.entries(report.byStatus).map(([status, count]) => `${status}: ${count}`)
      console.log(
        `${report.requests} requests to ${report.endpoints} endpoints (${statuses.join(", ")}), seed ${options.seed}`
      )
      console.log(`${report.decisions} answers name a row; without one: ${report.withoutRow.length}`)
      for (const problem of report.problems) console.log(`WRONG ${problem}`)
    }
    return report.problems.length === 0 && report.withoutRow.length === 0
  })
