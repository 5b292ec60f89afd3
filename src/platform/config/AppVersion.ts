import { createRequire } from "node:module"
import * as Schema from "effect/Schema"

const manifest: unknown = createRequire(import.meta.url)("../../../package.json")

/** Of package.json. */
export const appVersion: string = Schema.decodeUnknownSync(Schema.Struct({ version: Schema.String }))(manifest).version
