import * as Path from "node:path"
import { BuildFailed, ensureBuild } from "./CurrentBuild.mjs"

/** `pnpm build`: builds the program into `dist/` unless the build there is current. */

const project = Path.resolve(import.meta.dirname, "../..")

try {
  const began = performance.now()
  const { isNew, main } = await ensureBuild(project)
  const seconds = ((performance.now() - began) / 1_000).toFixed(1)
  console.log(`${Path.relative(project, main)} ${isNew ? `built in ${seconds} s` : "is current"}`)
} catch (error) {
  if (!(error instanceof BuildFailed)) throw error
  console.error(`gravitas: ${error.message}`)
  process.exitCode = 1
}
