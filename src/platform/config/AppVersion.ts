import { createRequire } from "node:module"
import * as Path from "node:path"
import * as Schema from "effect/Schema"
import { programFolder } from "./ProgramLocation.ts"

const manifest: unknown = createRequire(import.meta.url)(Path.join(programFolder, "package.json"))

/** Of package.json. */
export const appVersion: string = Schema.decodeUnknownSync(Schema.Struct({ version: Schema.String }))(manifest).version
