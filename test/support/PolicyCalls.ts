import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { Gravitas, request, tokenOf } from "./Gravitas.ts"
import { project } from "./Program.ts"

export const policyFile = join(project, "test/support/access-policy.yaml")
export const policyText = readFileSync(policyFile, "utf8")

/** Asks the gatekeeper in the name of `ghost`. */
export const call = (method: string, path: string, ghost = "Supervisor_Managed_Agent", body?: unknown) =>
  Effect.gen(function* () {
    const { gatekeeper } = yield* Gravitas
    const token = yield* Effect.promise(() => tokenOf(ghost))
    return yield* request(`${gatekeeper}${path}`, { method, token, ...(body === undefined ? {} : { body }) })
  })
