import type * as Redacted from "effect/Redacted"
import { Target } from "../../src/migrator/plan/Target.ts"
import { bring } from "./GatekeeperSchema.ts"

/** Brings the router's schema to head. */
export const routerUp = (url: Redacted.Redacted) => bring("router", url, Target.Head())
