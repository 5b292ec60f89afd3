import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { promisify } from "node:util"
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { GatekeeperApi } from "../../../src/contracts/gatekeeper/GatekeeperApi.ts"
import { GuardianApi } from "../../../src/contracts/guardian/GuardianApi.ts"
import { RouterApi } from "../../../src/contracts/router/RouterApi.ts"
import { serviceNames } from "../../../src/domain/Service.ts"
import { routesOf } from "../../../src/platform/http/FallbackResponses.ts"
import { Gravitas } from "../../support/Gravitas.ts"
import { skipBecause } from "../../support/SkipBecause.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

/** Debian's; without it this is left out. */
const chromium = "/usr/bin/chromium"

const routes = {
  gatekeeper: routesOf(GatekeeperApi),
  guardian: routesOf(GuardianApi),
  router: routesOf(RouterApi)
}

/** The page as it is once its scripts have run. */
const rendered = (url: string) =>
  Effect.flatMap(temporaryHome, (directory) =>
    Effect.promise(async (signal) => {
      const quiet = [
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync"
      ]
      const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", ...quiet]
      const wanted = [`--user-data-dir=${directory}`, "--virtual-time-budget=20000", "--dump-dom", url]
      const options = { signal, maxBuffer: 64 * 1024 * 1024 }
      return (await promisify(execFile)(chromium, [...flags, ...wanted], options)).stdout
    })
  )

layer(Gravitas.layer(), { timeout: "120 seconds", excludeTestServices: true })("the docs page in a browser", (it) => {
  it.scoped("shows every route of each service", (context) =>
    Effect.gen(function* () {
      if (!existsSync(chromium)) return skipBecause(context, "Chromium is not installed")
      const { program } = yield* Gravitas
      for (const service of serviceNames) {
        const page = yield* rendered(`${yield* program.url(service)}/docs`)
        const shown = new Set([...page.matchAll(/data-path="([^"]+)"/g)].map(([, path]) => path))
        expect([...routes[service].keys()].length).toBeGreaterThan(0)
        expect([...shown]).toEqual(
          expect.arrayContaining([...routes[service].keys()].map((path) => path.replaceAll(/:(\w+)/g, "{$1}")))
        )
      }
    })
  )
})
