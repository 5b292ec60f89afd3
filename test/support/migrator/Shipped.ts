import { readdirSync } from "node:fs"
import { parse } from "node:path"
import type { ServiceName } from "../../../src/domain/Service.ts"

/** The revisions of a service as its directory has them: `0001_history`, … */
export const shippedRevisions = (service: ServiceName): ReadonlyArray<string> =>
  readdirSync(new URL(`../../../migrations/${service}`, import.meta.url))
    .map((file) => parse(file).name)
    .toSorted()
